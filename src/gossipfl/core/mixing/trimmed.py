"""Coordinate by coordinate: the mean without the b smallest and the b largest values, or their median.

    x_i[k] ← mean of { x_i[k], x_j[k] … } but for b at either end          median: all but the one or two in the middle

Weights do not count: whoever is there counts once. b is `gossip.byzantine`.
Source: Yin et al. (2018), arXiv 1803.01498.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.mixing.among import Rows, all_of, entrywise, moved_to
from gossipfl.core.mixing.sorting import sort_rows
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Trimmed(Generic[P]):
    """See the module.

    Attributes:
        byzantine: b; None is the median.

    Guarantees:
        Every value lies between the smallest and the largest of the honest states', while at most b are not honest
        and 2b + 1 are there, own among them; with fewer the state stays as it is. The median bears fewer than half.
    """

    byzantine: int | None

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:  # noqa: ARG002
        """Own state among the others'."""
        states = all_of(own, contributions)
        cut = (len(states) - 1) // 2 if self.byzantine is None else self.byzantine
        if len(states) <= 2 * cut:
            return own
        return moved_to(own, entrywise(states, lambda rows: _middle(rows, cut)))


def _middle(rows: Rows, cut: int) -> NDArray[Any]:
    least, *kept = sort_rows(rows)[cut : len(rows) - cut]
    if not kept:
        return least
    # of differences: values that agree come out as they went in
    total = np.subtract(kept[0], least, out=kept[0])
    for row in kept[1:]:
        np.add(total, np.subtract(row, least, out=row), out=total)
    return np.add(np.divide(total, len(kept) + 1, out=total), least, out=total)
