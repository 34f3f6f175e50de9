"""What no honest node has: random numbers, no numbers at all, or far too large ones.

random     x + s · ‖x‖ · a random direction
nan        not a number, everywhere: receivers drop it
huge_norm  s · x with s so large that receivers drop it
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.mixing.among import entrywise
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Noise(Generic[P]):
    """Random numbers around the true state; every message has others.

    Attributes:
        strength: s.
    """

    strength: float = 10.0

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        noise = entrywise([scene.own], lambda rows: scene.rng.standard_normal(rows[0].size))
        # a part of its own length: `abs(noise)` is about the root of the number of values
        return scene.own + noise * (self.strength * abs(scene.own) / abs(noise))


class NotANumber(Generic[P]):
    """Not a number, everywhere."""

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        return entrywise([scene.own], lambda rows: np.full_like(rows[0], np.nan))


@dataclass(frozen=True, slots=True)
class HugeNorm(Generic[P]):
    """The true state, far too long.

    Attributes:
        strength: s.
    """

    strength: float = 1e9

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`."""
        return scene.own * self.strength
