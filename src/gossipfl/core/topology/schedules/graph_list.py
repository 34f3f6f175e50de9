"""graphs: the graphs of a file, one a round, over and over.

    round t:  x_i ← Σ_j W_ij x_j        W the weights on graph t modulo L, by `topology.weights`

A graph need not be connected, and a node in none of its edges rests; all of them together have to join the nodes.
Symmetric weights then agree: with every node's own weight above 0 the product of a period shrinks every difference.

Source: Tsitsiklis, Bertsekas & Athans (1986), who need no more than that the edges of every period join all nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from gossipfl.config.graph_types import Given, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.topology.graphs import check_count, check_graph, plain_graph
from gossipfl.core.topology.schedules.static import check_carried, linked_in, rows_of
from gossipfl.core.topology.schedules.terms import digest_of
from gossipfl.errors import TopologyError


@dataclass(frozen=True, slots=True)
class GraphList:
    """One graph after the other.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        rounds: of one period: each node's part.
        links: with whom each node exchanges in any round, sorted.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    rounds: tuple[Mapping[str, Row], ...]
    links: Mapping[str, tuple[str, ...]]
    version: int = 1

    @property
    def period(self) -> int:
        """Graphs in the file."""
        return len(self.rounds)

    @property
    def contraction(self) -> None:
        """λ of the product over a period says it."""
        return

    def row(self, node: str, round: int) -> Row:
        """The node's part in the round's graph."""
        return self.rounds[round % len(self.rounds)][node]

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody it is joined with in any of the graphs, sorted."""
        return self.links[node]

    def digest(self) -> str:
        """SHA-256 over nodes and all edges with their weights, as hex."""
        weights = [[sorted(rows[node].weights.items()) for node in self.nodes] for rows in self.rounds]
        return digest_of(self.version, "graphs", self.nodes, weights)


def graph_list(config: TopologyConfig, names: Sequence[str], given: Given) -> GraphList:
    """The schedule on the graphs of the file that `topology.kind` names."""
    check_count(names)
    if given is None:
        raise TopologyError(
            f"topology.kind: schedule graphs takes its rounds from a .yaml or .json file with a list of graphs, "
            f"{config.kind!r} is none"
        )
    graphs = [plain_graph(graph, names) for graph in (given if isinstance(given, tuple) else (given,))]
    check_graph(_together(graphs), names)
    rounds = tuple(rows_of(config, graph) for graph in graphs)
    check_carried(rounds)
    return GraphList(tuple(names), rounds, {name: linked_in(name, rounds) for name in names})


def _together(graphs: Sequence[Graph]) -> Graph:
    """All edges of all graphs; directed if one of them is."""
    if any(graph.is_directed() for graph in graphs):
        graphs = [graph.to_directed() for graph in graphs]
    together: Graph = nx.compose_all(graphs)
    return together
