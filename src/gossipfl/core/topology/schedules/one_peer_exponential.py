"""one_peer_exponential: one message a node and round, to another distance each time.

    round t:  x_i ← (x_i + x_{(i + 2^t) mod n}) / 2        t modulo τ = ⌈log₂ n⌉

After τ rounds every node holds the mean exactly when n = 2^k: the rounds add up all binary numbers. For another n the
matrices are still doubly stochastic, and the mean is approached; that has to be asked for, `topology.inexact`.

Source: Ying et al. (2021), Exponential graph is provably efficient for decentralized deep training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.topology.schedules.terms import digest_of, refuse_graph
from gossipfl.errors import TopologyError


@dataclass(frozen=True, slots=True)
class OnePeerExponential:
    """Each node hears one other a round, twice as far away as in the round before.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        places: each node's number in that order.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    places: Mapping[str, int]
    version: int = 1

    @property
    def period(self) -> int:
        """⌈log₂ n⌉."""
        return (len(self.nodes) - 1).bit_length()

    @property
    def contraction(self) -> None:
        """λ of the product over a period says it."""
        return

    def row(self, node: str, round: int) -> Row:
        """Half of itself, half of the one heard."""
        distance = 2 ** (round % self.period)
        return Row({node: 0.5, self._at(node, distance): 0.5}, (self._at(node, -distance),))

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Those at a power of two before and behind, sorted."""
        distances = [2**hop for hop in range(self.period)]
        return tuple(sorted({self._at(node, sign * distance) for distance in distances for sign in (1, -1)}))

    def digest(self) -> str:
        """SHA-256 over the nodes in their order, as hex: the rest follows from it."""
        return digest_of(self.version, "one_peer_exponential", self.nodes)

    def _at(self, node: str, distance: int) -> str:
        return self.nodes[(self.places[node] + distance) % len(self.nodes)]


def one_peer_exponential(config: TopologyConfig, names: Sequence[str], given: Given) -> OnePeerExponential:
    """The schedule on all nodes; it needs no graph."""
    refuse_graph(config, names, given)
    if len(names).bit_count() != 1 and not config.inexact:
        raise TopologyError(
            f"topology.schedule: one_peer_exponential is exact for a power of two nodes only, not {len(names)}: take "
            "base, which is for any number, or allow topology.inexact"
        )
    return OnePeerExponential(tuple(names), {name: place for place, name in enumerate(names)})
