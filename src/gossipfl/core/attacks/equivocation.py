"""Equivocation: every neighbor is told something else.

x + s · (x − x_t)        to neighbor t: the farther from it the more, on the side that it is not on
"""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Equivocation(Generic[P]):
    """See the module.

    Attributes:
        strength: s.
    """

    strength: float = 10.0

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`; to another attacker the truth."""
        target = scene.honest.get(scene.receiver)
        return scene.own if target is None else toward(scene.own, [(-self.strength, target)])
