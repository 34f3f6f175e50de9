"""Who talks to whom in which round: a graph, with weights, over time."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gossipfl.config.experiment import TopologyConfig
from gossipfl.config.graph_types import Graph
from gossipfl.core.protocol import Row, Schedule
from gossipfl.core.tables import resolve
from gossipfl.core.topology.graphs import build_graph
from gossipfl.core.topology.weights import WEIGHTS, Weigh, senders
from gossipfl.errors import TopologyError

BuildSchedule = Callable[[Graph, TopologyConfig], Schedule]
"""A checked graph and the settings to a schedule."""

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class StaticSchedule:
    """Every edge in every round.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        rows: each node's part.
        links: with whom each node exchanges, sorted.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    rows: Mapping[str, Row]
    links: Mapping[str, tuple[str, ...]]
    version: int = 1

    def row(self, node: str, round: int) -> Row:  # noqa: ARG002  # every round is the same
        """The node's part in any round."""
        return self.rows[node]

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody this node sends to or hears from, sorted."""
        return self.links[node]

    def digest(self) -> str:
        """SHA-256 over nodes, edges and weights, as hex: equal on two machines when the schedules are."""
        rows = [[node, sorted(self.rows[node].weights.items())] for node in self.nodes]
        return hashlib.sha256(json.dumps([self.version, rows]).encode()).hexdigest()


def static(graph: Graph, config: TopologyConfig) -> StaticSchedule:
    """The schedule that uses all of the graph, always."""
    weigh = resolve(WEIGHTS, config.weights, field="topology.weights")
    place = {node: number for number, node in enumerate(graph)}
    rows = {node: _row(graph, node, weigh, place) for node in graph}
    links = {node: tuple(sorted({*rows[node].weights, *rows[node].receivers} - {node})) for node in graph}
    return StaticSchedule(tuple(graph), rows, links)


SCHEDULES: Mapping[str, BuildSchedule] = {"static": static}
"""By configuration name."""


def build_schedule(config: TopologyConfig, names: Sequence[str], graph: Graph | None = None) -> Schedule:
    """The schedule of an experiment.

    Args:
        names: every node, in the order of peers.yaml.
        graph: as in `build_graph`.

    Raises:
        ConfigError: a name that no table knows.
        TopologyError: the graph cannot carry gossip.
    """
    build = resolve(SCHEDULES, config.schedule, field="topology.schedule")
    return build(build_graph(config, names, graph), config)


def _row(graph: Graph, node: str, weigh: Weigh, place: Mapping[str, int]) -> Row:
    given = weigh(graph, node)
    heard = sorted(given, key=place.__getitem__)
    own = 1 - math.fsum(given.values())
    if own < -ROUNDING or min(given.values(), default=0) < 0 or not set(heard) <= set(senders(graph, node)):
        raise TopologyError(f"topology.weights: {node} weighs what it does not hear, below 0, or above 1 together")
    weights = {node: max(own, 0.0), **{peer: float(given[peer]) for peer in heard}}
    return Row(weights, tuple(sorted(graph.neighbors(node), key=place.__getitem__)))
