"""Krum: the state that has the closest company, or the mean of some such (multi-Krum).

    score(x) = Σ ‖x − y‖² over the m − b − 2 states y that are nearest to x          of m states, own among them

Weights do not count. b is `gossip.byzantine`; multi-Krum takes the m − b − 2 best, one at least.
Source: Blanchard et al. (2017), arXiv 1703.02757.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from gossipfl.core.mixing.among import all_of, distance
from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Krum(Generic[P]):
    """See the module.

    Attributes:
        byzantine: b.
        several: multi-Krum.

    Guarantees:
        With fewer than 2b + 3 states, own among them, the state stays as it is: so many are needed to outvote b.
    """

    byzantine: int
    several: bool

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:  # noqa: ARG002
        """The best of own and others' states."""
        states = all_of(own, contributions)
        if len(states) < 2 * self.byzantine + 3:
            return own
        company = len(states) - self.byzantine - 2
        scores = _scores(states, company)
        # of equals the own one, then by name
        best = sorted(range(len(states)), key=scores.__getitem__)[: company if self.several else 1]
        return toward(own, [(1 / len(best), states[place]) for place in best if place])


def _scores(states: Sequence[P], company: int) -> list[float]:
    count = len(states)
    far = [[0.0] * count for _ in range(count)]
    for one in range(count):
        for other in range(one):
            far[one][other] = far[other][one] = distance(states[one], states[other]) ** 2
    return [sum(sorted(row)[1 : company + 1]) for row in far]
