"""Nearest-neighbor averaging: the mean without the b states that are farthest from the own one.

    x_i ← mean of x_i and the m − 1 − b others that are nearest to it

Weights do not count. b is `gossip.byzantine`.
Source: Farhadkhani et al. (2022, MoNNA), arXiv 2210.00969.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from gossipfl.core.mixing.among import all_of, distance
from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Nearest(Generic[P]):
    """See the module.

    Attributes:
        byzantine: b.

    Guarantees:
        With at most b others there, the state stays as it is.
    """

    byzantine: int

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:  # noqa: ARG002
        """Own state and those next to it."""
        seen, *others = all_of(own, contributions)
        kept = sorted(others, key=lambda state: distance(seen, state))[: max(0, len(others) - self.byzantine)]
        return toward(own, [(1 / (len(kept) + 1), state) for state in kept])
