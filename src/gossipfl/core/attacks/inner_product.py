"""Inner product manipulation (IPM): against the mean of the honest, a little or a lot.

    −ε · μ

A small ε hides among the others and slows them down; a large one turns them round.
Source: Xie, Koyejo & Gupta (2019), arXiv 1903.03936.
"""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.attacks.statistics import mean_of
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class InnerProduct(Generic[P]):
    """See the module.

    Attributes:
        strength: ε.
    """

    strength: float = 0.1

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        return mean_of(scene) * -self.strength
