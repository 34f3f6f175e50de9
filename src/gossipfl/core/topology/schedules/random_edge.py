"""random_edge: in each round one random edge of the graph averages its two ends, everybody else rests.

    E Σ|x − x̄|² shrinks by 1 − λ₂(L) / (2|E|) a round        L the graph's Laplacian, |E| its edges

The edge comes from `topology.seed` and the round alone: every node finds any round's edge by itself.

Source: Boyd, Ghosh, Prabhakar & Shah (2006), Randomized gossip algorithms, with edges drawn uniformly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.rng import generator
from gossipfl.core.topology.graphs import build_graph
from gossipfl.core.topology.schedules.terms import digest_of, refuse_weights
from gossipfl.core.topology.spectrum import algebraic_connectivity
from gossipfl.errors import TopologyError

SHOWN_DRAWS = 16


@dataclass(frozen=True, slots=True)
class RandomEdge:
    """One edge a round.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        edges: of the graph, in an order that follows from that of the nodes.
        links: each node's neighbors in the graph, sorted.
        seed: of the draws.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    links: Mapping[str, tuple[str, ...]]
    seed: int
    version: int = 1

    @property
    def period(self) -> None:
        """Every round is drawn anew."""
        return

    @property
    def contraction(self) -> float:
        """1 − λ₂(L) / (2|E|)."""
        places = {node: place for place, node in enumerate(self.nodes)}
        edges = [(places[u], places[v]) for u, v in self.edges]
        return 1 - algebraic_connectivity(edges, len(self.nodes)) / (2 * len(edges))

    def row(self, node: str, round: int) -> Row:
        """Half and half for the two ends of the round's edge, itself alone for everybody else."""
        u, v = self.edges[_draw(self.seed, len(self.edges), round)]
        if node not in (u, v):
            return Row({node: 1.0}, ())
        peer = v if node == u else u
        return Row({node: 0.5, peer: 0.5}, (peer,))

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Its neighbors in the graph, sorted."""
        return self.links[node]

    def digest(self) -> str:
        """SHA-256 over nodes, edges, seed and the first draws, as hex."""
        # numpy does not promise equal draws across its versions: nodes that draw differently must not meet
        draws = [_draw(self.seed, len(self.edges), round) for round in range(SHOWN_DRAWS)]
        return digest_of(self.version, "random_edge", self.nodes, self.edges, self.seed, draws)


def random_edge(config: TopologyConfig, names: Sequence[str], given: Given) -> RandomEdge:
    """The schedule on the graph of `topology.kind`, which has to be undirected."""
    refuse_weights(config)
    graph = build_graph(config, names, given)
    if graph.is_directed():
        raise TopologyError(f"topology.schedule: random_edge needs an undirected graph, {config.kind} is directed")
    places = {node: place for place, node in enumerate(graph)}
    edges = sorted(
        (sorted(edge, key=places.__getitem__) for edge in graph.edges()), key=lambda edge: _key(edge, places)
    )
    links = {node: tuple(sorted(graph.neighbors(node))) for node in graph}
    return RandomEdge(tuple(graph), tuple((u, v) for u, v in edges), links, config.seed)


def _key(edge: Sequence[str], places: Mapping[str, int]) -> list[int]:
    return [places[node] for node in edge]


@lru_cache(maxsize=4096)
def _draw(seed: int, edges: int, round: int) -> int:
    return int(generator(seed, purpose="random_edge", step=round).integers(edges))
