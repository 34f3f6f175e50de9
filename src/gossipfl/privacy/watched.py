"""A mechanism, and somebody who sees all that it lets out of its hands: the adversary DP-SGD is proven against."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gossipfl.core.messages import Receipt
from gossipfl.privacy.mechanisms import Drawn, Mechanism, Vector
from gossipfl.privacy.sources.seam import NOBODY, Places

Floats = NDArray[np.float64]


class WatchedMechanism:
    """Hands everything through, and notes what was let out; see `Mechanism`.

    Args:
        inner: does the work.
        gradient_seen: reads what a step has left in `grad`; None: steps are seen by nobody, only what phases release.
        released_seen: reads a released change, in the order of the exchanged vector.

    Attributes:
        seen: what was read, one after the other.
        payable: noised steps, or releases, done so far: as many must have been charged.
    """

    def __init__(
        self,
        inner: Mechanism,
        *,
        gradient_seen: Callable[[], Floats] | None,
        released_seen: Callable[[Vector], Floats],
    ) -> None:
        self._inner = inner
        self._gradient_seen = gradient_seen
        self._released_seen = released_seen
        self.seen: list[Floats] = []
        self.payable = 0

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`."""
        return self._inner.draw(step)

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """See `Mechanism.finish`."""
        return self._inner.finish(step, drawn, sums)

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """See `Mechanism.gradient`."""
        receipt = self._inner.gradient(step, resting)
        if self._gradient_seen is not None:
            self.payable += 1
            self.seen.append(self._gradient_seen())
        return receipt

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:
        """See `Mechanism.release`."""
        released = self._inner.release(first_step, before, after, phase=phase)
        if self._gradient_seen is None and not np.array_equal(before, after):
            self.payable += 1
            self.seen.append(self._released_seen(released - before))
        return released

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """See `Mechanism.durable`."""
        return self._inner.durable()

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Mechanism.restore`."""
        self._inner.restore(kept)
