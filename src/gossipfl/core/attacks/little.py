"""A little is enough (ALIE): as far from the mean of the honest as their own spread hides.

    μ − z·σ, entry by entry        z = max(1.5, Φ⁻¹((n − m − s) / (n − m))), s = ⌊n/2 + 1⌋ − m, of n nodes m attack

The formula alone gives 0 where few attack (n = 20, m = 2), hence 1.5 at least.
Source: Baruch, Baruch & Goldberg (2019), arXiv 1902.06156.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.attacks.statistics import deviation_of, mean_of
from gossipfl.core.vector import P

LEAST = 1.5


@dataclass(frozen=True, slots=True)
class Little(Generic[P]):
    """See the module.

    Attributes:
        strength: z; None: by the formula.
    """

    strength: float | None = None

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        attackers, honest = len(scene.attackers), len(scene.honest)
        z = hidden(honest + attackers, attackers) if self.strength is None else self.strength
        return mean_of(scene) - deviation_of(scene) * z


def hidden(nodes: int, attackers: int) -> float:
    """Z of so many nodes and attackers."""
    supporters = nodes // 2 + 1 - attackers
    share = (nodes - attackers - supporters) / (nodes - attackers)
    return max(LEAST, NormalDist().inv_cdf(share)) if 0 < share < 1 else LEAST
