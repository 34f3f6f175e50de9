"""`training.continual: newest`: only what came last; what others are compared to, and what forgets most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.continual.seam import Periods


@dataclass(frozen=True, slots=True)
class Newest:
    """See `Continual`."""

    proximal_mu: float = 0.0
    merges: bool = False

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """Those of the last period, and no others: nothing is charged for what is not drawn."""
        newest: NDArray[np.float64] = (periods == periods.max()).astype(np.float64)
        return newest
