"""random_matching: in each round all nodes form random pairs, each of which averages itself.

    x_i ← (x_i + x_j) / 2        {i, j} a pair of the round; of an odd number of nodes one rests

    E Σ|x − x̄|² shrinks by (n−2) / (2(n−1)) a round for an even n, by 1/2 for an odd one

It follows from W = (I + P)/2 = W²: every order of the nodes is as likely, so P, the exchange of the pairs, is −1/(n−1)
on vectors of sum 0 on average, and 0 where one rests.

Source: Boyd, Ghosh, Prabhakar & Shah (2006), Randomized gossip algorithms, their synchronous model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.rng import generator
from gossipfl.core.topology.schedules.terms import digest_of, others_of, refuse_graph


@dataclass(frozen=True, slots=True)
class RandomMatching:
    """Other random pairs in every round, the same for all who know the seed.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        places: each node's number in that order.
        seed: of the draws.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    places: Mapping[str, int]
    seed: int
    version: int = 1

    @property
    def period(self) -> None:
        """Every round is drawn anew."""
        return

    @property
    def contraction(self) -> float:
        """(n−2) / (2(n−1)), or 1/2 where one rests."""
        nodes = len(self.nodes)
        return 0.5 if nodes % 2 else (nodes - 2) / (2 * (nodes - 1))

    def partner(self, node: str, round: int) -> str | None:
        """Whom the node is paired with; None: it rests."""
        place = self.places[node]
        other = _draw(self.seed, len(self.nodes), round)[place]
        return None if other == place else self.nodes[other]

    def row(self, node: str, round: int) -> Row:
        """Half of itself, half of its partner; itself alone when it rests."""
        partner = self.partner(node, round)
        return Row({node: 1.0}, ()) if partner is None else Row({node: 0.5, partner: 0.5}, (partner,))

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody else, sorted."""
        return others_of(self.nodes, node)

    def digest(self) -> str:
        """SHA-256 over nodes, seed and the first round, as hex."""
        # numpy does not promise equal draws across its versions: nodes that draw differently must not meet
        first = _draw(self.seed, len(self.nodes), 0)
        return digest_of(self.version, "random_matching", self.nodes, self.seed, first)


def random_matching(config: TopologyConfig, names: Sequence[str], given: Given) -> RandomMatching:
    """The schedule on all nodes; it needs no graph."""
    refuse_graph(config, names, given)
    return RandomMatching(tuple(names), {name: place for place, name in enumerate(names)}, config.seed)


@lru_cache(maxsize=128)
def _draw(seed: int, nodes: int, round: int) -> tuple[int, ...]:
    """The partner of every node, its own number for the one that rests."""
    dealt = generator(seed, purpose="random_matching", step=round).permutation(nodes)
    partners = np.arange(nodes)
    ones, others = dealt[0 : nodes - 1 : 2], dealt[1::2]
    partners[ones], partners[others] = others, ones
    return tuple(partners.tolist())
