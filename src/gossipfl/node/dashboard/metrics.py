"""The same view for Prometheus: `/metrics`, every node under its name (extra `prometheus`).

One place to scrape is enough: it asks all nodes. What a silent node said before is left out, so that its series end.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gossipfl.net.reports import StatusSnapshot
from gossipfl.node.network_view import EdgeView, Health, NetworkView
from gossipfl.node.node_status import NodeStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Figure = Callable[[StatusSnapshot], float | None]

GAUGES: dict[str, tuple[str, Figure]] = {
    "gossipfl_step": ("Optimizer steps done.", lambda said: said.step),
    "gossipfl_steps_planned": ("Of the whole run.", lambda said: said.details.steps_planned if said.details else None),
    "gossipfl_epsilon": ("Spent by the data's account; absent without privacy.", lambda said: _finite(said.epsilon)),
    "gossipfl_target_epsilon": ("The budget.", lambda said: said.details.target_epsilon if said.details else None),
    "gossipfl_test_accuracy": ("On the common public test set.", lambda said: said.test_accuracy),
    "gossipfl_test_loss": ("On the common public test set.", lambda said: said.test_loss),
    "gossipfl_staleness_mixings": ("Since the most silent neighbor was heard.", lambda said: said.staleness),
    "gossipfl_links": ("Neighbors by the topology.", lambda said: said.neighbors),
    "gossipfl_links_up": ("Neighbors that there is a link to.", lambda said: said.neighbors_up),
}
"""By name what it is, and where it is from; one series a node that answers."""
COUNTERS: dict[str, tuple[str, Figure]] = {
    "gossipfl_sent_bytes": ("Payload and framing, in the node's present life.", lambda said: said.bytes_sent),
    "gossipfl_received_bytes": ("Payload and framing, in the node's present life.", lambda said: said.bytes_received),
}


def metrics_text(view: NetworkView) -> bytes:
    """One scrape."""
    registry = CollectorRegistry()
    registry.register(_View(view))
    return generate_latest(registry)


class _View(Collector):
    def __init__(self, view: NetworkView) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        view = self._view
        yield from _of_health(view)
        for name, (text, figure) in GAUGES.items():
            yield _fill(GaugeMetricFamily(name, text, labels=["node"]), view.nodes, figure)
        for name, (text, figure) in COUNTERS.items():
            yield _fill(CounterMetricFamily(name, text, labels=["node"]), view.nodes, figure)
        yield _rejected(view.nodes)
        yield from _of_edges(view.edges)
        between = view.consensus_distance()
        if between is not None:
            distance = GaugeMetricFamily("gossipfl_consensus_distance", "Lies between these.", labels=["bound"])
            for bound, value in zip(("lower", "upper"), between, strict=True):
                distance.add_metric([bound], value)
            yield distance


def _of_health(view: NetworkView) -> Iterator[Metric]:
    up = GaugeMetricFamily("gossipfl_node_up", "Whether it answers.", labels=["node"])
    health = GaugeMetricFamily("gossipfl_node_health", "1 for what it is now.", labels=["node", "health"])
    for node in view.nodes:
        up.add_metric([node.name], float(node.answer is not None))
        for word in get_args(Health):
            health.add_metric([node.name, word], float(view.health(node) == word))
    yield from (up, health)


def _fill(family: GaugeMetricFamily | CounterMetricFamily, nodes: Iterable[NodeStatus], figure: Figure) -> Metric:
    """A series for each node that answers and has the figure."""
    for node in nodes:
        value = figure(node.answer) if node.answer is not None else None
        if value is not None:
            family.add_metric([node.name], value)
    return family


def _rejected(nodes: Iterable[NodeStatus]) -> Metric:
    family = CounterMetricFamily("gossipfl_rejected", "Messages and peers turned away.", labels=["node", "reason"])
    for node in nodes:
        for reason, times in (node.answer.rejected if node.answer is not None else {}).items():
            family.add_metric([node.name, reason], times)
    return family


def _of_edges(edges: Iterable[EdgeView]) -> Iterator[Metric]:
    ends = ["one", "other"]
    up = GaugeMetricFamily("gossipfl_edge_up", "Whether an end that answers has a link.", labels=ends)
    staleness = GaugeMetricFamily("gossipfl_edge_staleness_mixings", "At the end that waits longer.", labels=ends)
    distance = GaugeMetricFamily("gossipfl_edge_distance", "Between the last published states.", labels=ends)
    sent = CounterMetricFamily("gossipfl_edge_sent_bytes", "One way.", labels=["sender", "receiver"])
    for edge in edges:
        for family, value in ((up, edge.up), (staleness, edge.staleness), (distance, edge.distance)):
            if value is not None:
                family.add_metric(edge.ends, float(value))
        for way, count_bytes in ((edge.ends, edge.bytes[0]), (edge.ends[::-1], edge.bytes[1])):
            if count_bytes is not None:
                sent.add_metric(way, count_bytes)
    yield from (up, staleness, distance, sent)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
