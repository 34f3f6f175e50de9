"""static: every edge of the graph in every round."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from gossipfl.config.graph_types import DiGraph, Given, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.tables import resolve
from gossipfl.core.topology.graphs import build_graph, check_connected, listed
from gossipfl.core.topology.schedules.terms import digest_of
from gossipfl.core.topology.weights import WEIGHTS, Weigh, senders
from gossipfl.errors import TopologyError

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

    @property
    def period(self) -> int:
        """Every round is the same."""
        return 1

    @property
    def contraction(self) -> None:
        """λ of the one matrix says it."""
        return

    def row(self, node: str, round: int) -> Row:  # noqa: ARG002  # every round is the same
        """The node's part in any round."""
        return self.rows[node]

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody this node sends to or hears from, sorted."""
        return self.links[node]

    def digest(self) -> str:
        """SHA-256 over nodes, edges and weights, as hex: equal on two machines when the schedules are."""
        return digest_of(self.version, [[node, sorted(self.rows[node].weights.items())] for node in self.nodes])


def static(config: TopologyConfig, names: Sequence[str], given: Given) -> StaticSchedule:
    """The schedule that uses all of the graph, always."""
    graph = build_graph(config, names, given)
    rows = rows_of(config, graph)
    check_carried([rows])
    if not any(row.weights[node] for node, row in rows.items()) and not nx.is_aperiodic(_carried([rows])):
        raise TopologyError(
            "topology.weights: every node weighs its own state 0, and states would only change places: one above 0 was "
            "expected"
        )
    return StaticSchedule(tuple(graph), rows, {node: linked_in(node, [rows]) for node in graph})


def rows_of(config: TopologyConfig, graph: Graph) -> Mapping[str, Row]:
    """Each node's part where all edges of a graph are used, with the weights of the settings."""
    weigh = resolve(WEIGHTS, config.weights, field="topology.weights")
    place = {node: number for number, node in enumerate(graph)}
    return {node: _row(graph, node, weigh, place) for node in graph}


def check_carried(rounds: Sequence[Mapping[str, Row]]) -> None:
    """Raises `TopologyError` where the weights above 0, of all rounds together, cut a node off."""
    if all(weight for rows in rounds for row in rows.values() for weight in row.weights.values()):
        return
    check_connected(
        _carried(rounds), list(rounds[0]), where="topology.weights: without its edges of weight 0 the graph"
    )


def _carried(rounds: Sequence[Mapping[str, Row]]) -> DiGraph:
    """Whose state counts for whom: sender → receiver."""
    carried = DiGraph()
    carried.add_nodes_from(rounds[0])
    rows = [item for rows in rounds for item in rows.items()]
    carried.add_edges_from((peer, node) for node, row in rows for peer, weight in row.weights.items() if weight)
    return carried


def linked_in(node: str, rounds: Iterable[Mapping[str, Row]]) -> tuple[str, ...]:
    """Everybody the node sends to or hears from in these rounds, sorted."""
    rows = [rows[node] for rows in rounds]
    return tuple(sorted({peer for row in rows for peer in (*row.weights, *row.receivers)} - {node}))


def _row(graph: Graph, node: str, weigh: Weigh, place: Mapping[str, int]) -> Row:
    given = weigh(graph, node)
    _check_weights(given, node, set(senders(graph, node)))
    heard = sorted(given, key=place.__getitem__)
    own = 1 - math.fsum(given.values())
    weights = {node: max(own, 0.0), **{peer: float(given[peer]) for peer in heard}}
    return Row(weights, tuple(sorted(graph.neighbors(node), key=place.__getitem__)))


def _check_weights(given: Mapping[str, float], node: str, senders: Collection[str]) -> None:
    strangers = [peer for peer in given if peer not in senders]
    if strangers:
        raise TopologyError(f"topology.weights: {node} weighs {listed(strangers)}, whom it does not hear")
    for peer, weight in given.items():
        # NaN is no such number either
        if not 0 <= weight <= 1:
            raise TopologyError(f"topology.weights: {node} weighs {peer} {weight}, a number from 0 to 1 was expected")
    together = math.fsum(given.values())
    if together > 1 + ROUNDING:
        raise TopologyError(
            f"topology.weights: {node} weighs its neighbors {together:.12g} together, at most 1 was expected"
        )
