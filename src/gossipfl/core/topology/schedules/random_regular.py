"""random_regular: in each round every node meets the same number of random others, and averages with them all alike.

    x_i ← (x_i + Σ_{j met by i} x_j) / (1 + d)        d = topology.degree, 3 by default, 4 for an odd number of nodes

    E Σ|x − x̄|² shrinks by (1 − d/(n−1)) / (1 + d) a round

It follows from W = (I + A)/(1 + d): where all orders of the nodes are alike, A is −d/(n−1) on vectors of sum 0 and A²
is d − d(d−1)/(n−1), on average. A graph of its own need not be connected: those of later rounds are others.

Sources: De Vos et al. (2023), arXiv 2310.01972, who call it EL Oracle. Steger & Wormald (1999) draw the graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.rng import derive_seed, generator
from gossipfl.core.topology.generators import regular_degree, regular_graph
from gossipfl.core.topology.schedules.terms import digest_of, others_of, refuse_graph

Met = tuple[tuple[int, ...], ...]
"""One round: by node, the numbers of all it meets, rising."""


@dataclass(frozen=True, slots=True)
class RandomRegular:
    """Another random regular graph in every round, the same for all who know the seed.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        places: each node's number in that order.
        degree: d, others a node meets in a round.
        seed: of the draws.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    places: Mapping[str, int]
    degree: int
    seed: int
    version: int = 1

    @property
    def period(self) -> None:
        """Every round is drawn anew."""
        return

    @property
    def contraction(self) -> float:
        """(1 − d/(n−1)) / (1 + d)."""
        return (1 - self.degree / (len(self.nodes) - 1)) / (1 + self.degree)

    def row(self, node: str, round: int) -> Row:
        """Equal weights for itself and all it meets; they hear it as it hears them."""
        met = _draw(self.seed, len(self.nodes), self.degree, round)[self.places[node]]
        peers = tuple(self.nodes[peer] for peer in met)
        weight = 1 / (1 + self.degree)
        return Row({node: weight, **dict.fromkeys(peers, weight)}, peers)

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody else, sorted."""
        return others_of(self.nodes, node)

    def digest(self) -> str:
        """SHA-256 over nodes, degree, seed and the first round, as hex."""
        # draws may differ between versions of networkx and numpy: nodes that draw differently must not meet
        first = _draw(self.seed, len(self.nodes), self.degree, 0)
        return digest_of(self.version, "random_regular", self.nodes, self.degree, self.seed, first)


def random_regular(config: TopologyConfig, names: Sequence[str], given: Given) -> RandomRegular:
    """The schedule on all nodes; it needs no graph."""
    refuse_graph(config, names, given)
    degree = regular_degree(len(names), config)
    return RandomRegular(tuple(names), {name: place for place, name in enumerate(names)}, degree, config.seed)


@lru_cache(maxsize=32)
def _draw(seed: int, nodes: int, degree: int, round: int) -> Met:
    drawn = regular_graph(degree, nodes, derive_seed(seed, purpose="random_regular", step=round))
    # numbers dealt anew: whatever the drawing favors, all orders of the nodes are alike
    dealt = generator(seed, purpose="random_regular", step=round).permutation(nodes)
    edges = dealt[np.array(drawn.edges())]
    both = np.concatenate([edges, edges[:, ::-1]])
    met = both[np.lexsort((both[:, 1], both[:, 0])), 1].reshape(nodes, degree)
    return tuple(tuple(row) for row in met.tolist())
