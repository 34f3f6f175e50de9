"""`training.continual: replay`: of every batch a share comes from earlier periods.

    period      0 … k−1            k
    of a batch  s                  1 − s         in each part every unit alike

Drawn again, old units are charged again, at their own rate. Source: Chaudhry et al. (2019), experience replay.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.continual.seam import Periods


@dataclass(frozen=True, slots=True)
class Replay:
    """See `Continual`.

    Attributes:
        share: s.
    """

    share: float
    proximal_mu: float = 0.0
    merges: bool = False

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """By how much of a batch each part has, and how many units share that."""
        new = periods == periods.max()
        wished: NDArray[np.float64] = np.where(new, (1 - self.share) / new.sum(), self.share / max(1, (~new).sum()))
        shares: NDArray[np.float64] = wished / wished.max()
        return shares
