"""The true state: of attackers whose harm is in what they have trained on, see `gossipfl.learning.data.poisons`."""

from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.vector import P


class Truthful(Generic[P]):
    """See the module."""

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        return scene.own
