"""`training.continual: merged`: an adapter for every period; the newest is trained, the mean of all is shared.

    x = (A_1 + … + A_K) / K              shared: published, mixed, judged, exported
    A_K                                  trained, on what came last; see `offset` for what is kept of it

The mean is uniform. Weights by how many records each period has would depend on whether a single one of them is there,
and be in all that is shared: what privacy.level example pays for does not cover that.

Source: a uniform soup of weights, Wortsman et al. (2022), arXiv 2203.05482; of tasks, Ilharco et al. (2023), task
arithmetic, arXiv 2212.04089. What is added here is that gossip goes on meanwhile.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.continual.seam import Periods


@dataclass(frozen=True, slots=True)
class Merged:
    """See `Continual`."""

    proximal_mu: float = 0.0
    merges: bool = True

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """Those of the last period, and no others."""
        newest: NDArray[np.float64] = (periods == periods.max()).astype(np.float64)
        return newest
