"""A node's whole update of a phase is clipped and noised, once, before it becomes part of the node's state.

    u = local_steps plain steps − snapshot        released = u · min(1, C/‖u‖) + σ·C·N(0, I)

What is protected is all data of the node at once: without it u would be 0 (zero-out adjacency), so a phase has
sensitivity C and costs one Gaussian release of noise multiplier σ, whatever the steps inside did. Data replaced by
other data moves u by up to 2C, which is σ/2. Who takes part is seen, and which examples a step drew makes no
difference to ‖u‖ ≤ C: nothing is amplified by sampling.

The steps themselves are those of level none: plain gradients, momentum, dropout, `training.max_grad_norm`. What they
leave at the node (moments) is not noised and never sent; later phases may depend on it, each being at most C long.

Source: McMahan et al. (2018), user-level; Dong, Roth & Su (2022), composition.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms.none import PlainMechanism
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Vector
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.sources.seam import NOBODY, Places
from gossipfl.privacy.streams import CHUNK


class UpdateMechanism:
    """Plain steps, paid for before the first of a phase, and a noisy release at its end; see `Mechanism`.

    A phase that fails has released nothing: its payment serves the next one of this process.
    """

    def __init__(self, parts: MechanismParts) -> None:
        if parts.plan is None:
            raise PrivacyError("privacy.level update needs a plan: target_epsilon or noise_multiplier")
        self._plan: Plan = parts.plan
        self._account = parts.account
        self._noise = parts.noise
        # what a step costs is in the price of its phase
        self._steps = PlainMechanism(replace(parts, plan=None, account=FreeAccount()))
        self._paid: Receipt | None = None

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`: the first of a phase pays for all of it."""
        receipt = self._pay()
        return replace(self._steps.draw(step), receipt=receipt)

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """See `Mechanism.finish`: the mean."""
        return self._steps.finish(step, drawn, sums)

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """See `Mechanism.gradient`."""
        receipt = self._pay()
        self._steps.gradient(step, resting)
        return receipt

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:  # noqa: ARG002  # alike
        """See `Mechanism.release`: what has changed is clipped, and noised in float64."""
        paid, self._paid = self._paid, None
        if paid is not None:
            return before + self._noised(first_step, after - before)
        if not np.array_equal(before, after):
            raise PrivacyError("a phase that nothing was paid for has changed the state")
        return after

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """See `Mechanism.durable`: nothing."""
        return {}

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Mechanism.restore`."""

    def _pay(self) -> Receipt:
        if self._paid is None:
            self._paid = self._account.charge(self._plan.charge())
        return self._paid

    def _noised(self, first_step: int, increment: Vector) -> Vector:
        limit, noise = self._plan.max_grad_norm, self._noise.at(first_step)
        # the first number of a step is that of its dropout
        noise.uniform(1)
        # exactly 1 for what is short enough
        factor = limit / max(norm(increment), limit)
        released = np.empty_like(increment)
        for start in range(0, len(increment), CHUNK):
            part = increment[start : start + CHUNK].astype(np.float64)
            noisy = factor * part + self._plan.noise_multiplier * limit * noise.normal(len(part))
            released[start : start + CHUNK] = noisy
        return released


def norm(increment: Vector) -> float:
    """Euclidean norm, exact to float64."""
    parts = (increment[start : start + CHUNK].astype(np.float64) for start in range(0, len(increment), CHUNK))
    # no BLAS, whose threads would spin
    return math.sqrt(sum(float(np.square(part).sum()) for part in parts))
