"""DECOR: a node's clipped update gets noise of its own, and noise that its neighbors take away again.

    released = u · min(1, C/‖u‖) + σ·C·N(0, I) + p·C·Σ_j ±v_ij

What is protected, and what a phase costs, is as at level update; the pair noise p cancels in the network's mean.
Whoever does not know it faces more than σ: an outsider, and any one neighbor, have smaller ε (`pairs.exposure`). The
account is charged for the strongest adversary, all neighbors together, who know all of it.

Source: Allouah et al. (2024), arXiv 2405.01031, with a phase for its step and the node's data for its unit.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Vector
from gossipfl.privacy.mechanisms.update import UpdateMechanism
from gossipfl.privacy.pairs.turns import MemoryTurns
from gossipfl.privacy.sources.seam import NOBODY, Places

TURN = "pairs/turn"
"""Key of the last turn among what the checkpoint of a simulation keeps."""


class CorrelatedMechanism:
    """Level update with pair noise on top, see `Mechanism`."""

    def __init__(self, parts: MechanismParts) -> None:
        if parts.plan is None or parts.plan.pairs is None or parts.pairs is None:
            raise PrivacyError(
                "privacy.level correlated needs neighbors to share noise with: it is for gossip, real or simulated"
            )
        self._update = UpdateMechanism(parts)
        self._scale = parts.plan.pairs.noise_multiplier * parts.plan.max_grad_norm
        self._pairs = parts.pairs.noise

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`: the first of a phase pays for all of it."""
        return self._update.draw(step)

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """See `Mechanism.finish`: the mean."""
        return self._update.finish(step, drawn, sums)

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """See `Mechanism.gradient`."""
        return self._update.gradient(step, resting)

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:
        """See `Mechanism.release`: the turn of the pair noise is durable before it is used."""
        released = self._update.release(first_step, before, after, phase=phase)
        if released is after:
            # nothing was trained, and nothing is released
            return after
        noise = self._pairs.total(phase, len(released))
        noise *= self._scale
        noise += released
        return noise.astype(np.float32)

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """See `Mechanism.durable`: of a simulated node its last turn; a real one has a file of its own for it."""
        turns = self._pairs.turns
        return {TURN: np.array(turns.last, np.float32)} if isinstance(turns, MemoryTurns) else {}

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Mechanism.restore`; a turn is never taken back: who was killed in a phase does it with another one."""
        turns = self._pairs.turns
        if TURN in kept and isinstance(turns, MemoryTurns):
            highest, again = (max(int(saved), own) for saved, own in zip(kept[TURN], turns.last, strict=True))
            turns.last = highest, again
