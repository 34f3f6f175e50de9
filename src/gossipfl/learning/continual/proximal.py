"""`training.continual: proximal`: only what came last, and every step is pulled to where the phase began.

    loss + μ/2 · ‖x − x₀‖²        x₀: the node's state after its last mixing, the consensus as it knows it

So a node with new data moves its neighbors less far from what they agreed on. The pull depends on no data: it costs no
ε. Source: Li et al. (2020), FedProx.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.continual.seam import Periods


@dataclass(frozen=True, slots=True)
class Proximal:
    """See `Continual`."""

    proximal_mu: float
    merges: bool = False

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        """Those of the last period, and no others."""
        newest: NDArray[np.float64] = (periods == periods.max()).astype(np.float64)
        return newest
