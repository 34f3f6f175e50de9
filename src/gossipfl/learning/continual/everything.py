"""`training.continual: all`: every unit alike, whenever it came, as in one training on all data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.continual.seam import Periods


@dataclass(frozen=True, slots=True)
class Everything:
    """See `Continual`."""

    proximal_mu: float = 0.0
    merges: bool = False

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """All alike."""
        return np.ones(len(periods))
