"""DP-SGD: every unit's gradient is clipped, the sum is noised, and divided by the expected batch.

    g = ( Σ_{u in batch} g_u · min(1, C/‖g_u‖)  +  σ·C·N(0, I) ) / (q·n)        each u in the batch with probability q

An empty batch is a step of pure noise, charged and applied. The norm is over all trainable parameters together.

Source: Abadi et al. (2016).
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Vector, drop, leave
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.sources import UnitSource
from gossipfl.privacy.sources.hooks import HookedGradients, refuse_batch_norm
from gossipfl.privacy.sources.seam import NOBODY, Places, summed, trainable, zeros_for
from gossipfl.privacy.streams import CHUNK


class ExampleMechanism:
    """Noised mean gradient of a Poisson-drawn batch, see `Mechanism`.

    At most micro_batch × trainable × 4 bytes of unit gradients are alive.
    """

    def __init__(self, parts: MechanismParts) -> None:
        if parts.plan is None:
            raise PrivacyError("privacy.level example needs a plan: target_epsilon or noise_multiplier")
        refuse_batch_norm(parts.module)
        self._parts = parts
        self._plan: Plan = parts.plan
        self._trained = trainable(parts.module)

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`: Poisson sampling, each unit by itself."""
        receipt = self._parts.account.charge(self._plan.charge())
        chosen = self._parts.batches.at(step).uniform(self._plan.units) < self._plan.sample_rate
        units = np.flatnonzero(chosen).astype(np.int64)
        return Drawn(receipt, units, self._plan.max_grad_norm, self._plan.expected_batch)

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """See `Mechanism.finish`: noise in float64, drawn parameter after parameter."""
        noise = self._parts.noise.at(step)
        deviation = self._plan.noise_multiplier * self._plan.max_grad_norm
        for part in torch.split(sums, CHUNK):
            noised = torch.from_numpy(noise.normal(part.numel())).mul_(deviation).to(part.device)
            part.copy_(noised.add_(part).div_(drawn.divisor))
        return sums

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """See `Mechanism.gradient`."""
        drawn = self.draw(step)
        drop(self._trained)
        try:
            sums = zeros_for(self._parts.module)
            if len(drawn.units):
                summed(self._source, self._parts.load(drawn.units), drawn.clip, sums, resting)
            leave(self.finish(step, drawn, sums), self._trained, resting)
        except BaseException:
            drop(self._trained)
            raise
        finally:
            self._source.clear()
        return drawn.receipt

    def release(self, first_step: int, before: Vector, after: Vector) -> Vector:  # noqa: ARG002  # phases are alike
        """See `Mechanism.release`: every step in it was noised already."""
        return after

    def close(self) -> None:
        """Takes the gradient source off the module."""
        self._source.close()

    @cached_property
    def _source(self) -> UnitSource:
        """Made when first used: a driver of many nodes has its own."""
        return self._parts.source or HookedGradients(self._parts.module, self._parts.losses)
