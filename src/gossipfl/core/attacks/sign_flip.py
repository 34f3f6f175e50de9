"""Sign flip: the opposite of what was learned, many times as long.

    −s · x

Source: as in Karimireddy, He & Jaggi (2021), arXiv 2012.10333.
"""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class SignFlip(Generic[P]):
    """See the module.

    Attributes:
        strength: s.
    """

    strength: float = 10.0

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        return scene.own * -self.strength
