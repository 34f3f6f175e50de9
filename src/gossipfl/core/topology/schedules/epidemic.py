"""epidemic: in each round every node sends to s random others, and averages what it hears with its own, all alike.

    x_i ← (x_i + Σ_{j sent to i} x_j) / (1 + number heard)        s = topology.degree, ⌈log₂ n⌉ by default

    E Σ|x − x̄|² about the old mean shrinks by (1 − (1 − s/(n−1))^n) / s − 1/(n−1) a round

Everybody is sent as often as anybody, but heard by random numbers: the mean is kept on average, not in every round.
The default is what the source finds enough, and what the static exponential graph sends.

Source: de Vos et al. (2023), Epidemic learning, arXiv 2310.01972, its local variant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.graph_types import Given
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.rng import generator
from gossipfl.core.topology.schedules.terms import check_degree, digest_of, others_of, refuse_graph

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EpidemicSchedule:
    """Random peers in every round, the same for all who know the seed.

    Attributes:
        nodes: every node, in the order of peers.yaml.
        places: each node's number in that order.
        fanout: s, messages a node sends in a round.
        seed: of the draws.
        version: of the topology; the handshake compares it.
    """

    nodes: tuple[str, ...]
    places: Mapping[str, int]
    fanout: int
    seed: int
    version: int = 1

    @property
    def period(self) -> None:
        """Every round is drawn anew."""
        return

    @property
    def contraction(self) -> float:
        """(1 − (1 − s/(n−1))^n) / s − 1/(n−1)."""
        others = len(self.nodes) - 1
        unheard = (1 - self.fanout / others) ** len(self.nodes)
        return (1 - unheard) / self.fanout - 1 / others

    def row(self, node: str, round: int) -> Row:
        """Equal weights for itself and all it hears; its own state goes to `fanout` others."""
        place, drawn = self.places[node], self._drawn(round)
        senders = drawn.senders[drawn.starts[place] : drawn.starts[place + 1]]
        heard = [self.nodes[sender] for sender in senders.tolist()]
        weight = 1 / (1 + len(heard))
        receivers = tuple(self.nodes[receiver] for receiver in drawn.receivers[place].tolist())
        return Row({node: weight, **dict.fromkeys(heard, weight)}, receivers)

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody else, sorted."""
        return others_of(self.nodes, node)

    def digest(self) -> str:
        """SHA-256 over nodes, fanout, seed and the first round, as hex."""
        # numpy does not promise equal draws across its versions: nodes that draw differently must not meet
        first = self._drawn(0).receivers.tolist()
        return digest_of(self.version, "epidemic", self.nodes, self.fanout, self.seed, first)

    def _drawn(self, round: int) -> "_Drawn":
        return _draw(self.seed, len(self.nodes), self.fanout, round)


def epidemic(config: TopologyConfig, names: Sequence[str], given: Given) -> EpidemicSchedule:
    """The schedule on all nodes; it needs no graph."""
    refuse_graph(config, names, given)
    others = len(names) - 1
    fanout = config.degree or others.bit_length()
    check_degree(fanout, names)
    return EpidemicSchedule(tuple(names), {name: place for place, name in enumerate(names)}, fanout, config.seed)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One round of all nodes.

    Attributes:
        receivers: (n, s), sorted in every row.
        senders: (n·s), of node 0, of node 1, …, each sorted; those of node i lie from starts[i] to starts[i + 1].
    """

    receivers: Numbers
    senders: Numbers
    starts: Numbers


@lru_cache(maxsize=32)
def _draw(seed: int, nodes: int, fanout: int, round: int) -> _Drawn:
    receivers = _subsets(generator(seed, purpose="epidemic", step=round), nodes, fanout)
    flat = receivers.ravel()
    senders = np.argsort(flat, kind="stable") // fanout
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=nodes))])
    return _Drawn(receivers, senders, starts)


def _subsets(rng: np.random.Generator, nodes: int, fanout: int) -> Numbers:
    """For each node a uniform set of `fanout` others (n, s): Floyd's algorithm for all nodes at once."""
    others = nodes - 1
    chosen = np.empty((nodes, fanout), np.int64)
    for column, last in enumerate(range(others - fanout, others)):
        drawn = rng.integers(last + 1, size=nodes)
        taken = (chosen[:, :column] == drawn[:, None]).any(axis=1)
        chosen[:, column] = np.where(taken, last, drawn)
    chosen.sort(axis=1)
    # numbers of the others skip the node's own
    return chosen + (chosen >= np.arange(nodes)[:, None])
