"""base: the Base-(k+1) graph, the exact mean after each period, for any number of nodes.

    k = topology.degree, 1 by default        n = 25, k = 1:  9 rounds of one peer each        k = 2:  6 rounds

Source: `gossipfl.core.topology.base_graph`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.topology.base_graph import Edges, base_graph
from gossipfl.core.topology.schedules.terms import check_degree, digest_of, refuse_graph

Meetings = tuple[tuple[tuple[int, float], ...], ...]
"""One round: by node, (peer, weight) of everybody it meets."""


@dataclass(frozen=True, slots=True)
class BaseSchedule:
    """The rounds of a Base-(k+1) graph, over and over.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        places: each node's number in that order.
        rounds: of one period.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    places: Mapping[str, int]
    rounds: tuple[Meetings, ...]
    version: int = 1

    @property
    def period(self) -> int:
        """Rounds after which all nodes have met and it begins anew."""
        return len(self.rounds)

    @property
    def contraction(self) -> None:
        """After a period nothing is left."""
        return

    def row(self, node: str, round: int) -> Row:
        """The node's part; who meets nobody in a round keeps its state."""
        met = self.rounds[round % len(self.rounds)][self.places[node]]
        peers = {self.nodes[peer]: weight for peer, weight in met}
        return Row({node: 1 - math.fsum(peers.values()), **peers}, tuple(peers))

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody met in a period, sorted."""
        place = self.places[node]
        return tuple(sorted({self.nodes[peer] for meetings in self.rounds for peer, _ in meetings[place]}))

    def digest(self) -> str:
        """SHA-256 over nodes and all meetings with their weights, as hex."""
        return digest_of(self.version, "base", self.nodes, self.rounds)


def base(config: TopologyConfig, names: Sequence[str], given: Given) -> BaseSchedule:
    """The schedule on all nodes; it needs no graph."""
    refuse_graph(config, names, given)
    degree = config.degree or 1
    check_degree(degree, names)
    rounds = tuple(_meetings(edges, len(names)) for edges in base_graph(len(names), degree))
    return BaseSchedule(tuple(names), {name: place for place, name in enumerate(names)}, rounds)


def _meetings(edges: Edges, nodes: int) -> Meetings:
    met: list[list[tuple[int, float]]] = [[] for _ in range(nodes)]
    for u, v, weight in edges:
        met[u].append((v, weight))
        met[v].append((u, weight))
    return tuple(tuple(sorted(peers)) for peers in met)
