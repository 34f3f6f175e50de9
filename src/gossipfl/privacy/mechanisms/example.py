"""DP-SGD: every unit's gradient is clipped, the sum is noised, and divided by the expected batch.

    g = ( Σ_{u in batch} g_u · min(1, C/‖g_u‖)  +  σ·C·N(0, I) ) / (q·n)        each u in the batch with probability q

An empty batch is a step of pure noise, charged and applied. The norm is over all trainable parameters together,
or over each by itself (`Clip`); C stays, or follows a quantile of the norms at the price of a larger σ (`Clipping`).

Source: Abadi et al. (2016).
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.clipping_norm import ClippingNorm
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Vector, drop, leave
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.sources import UnitSource
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.hooks import HookedGradients, refuse_batch_norm
from gossipfl.privacy.sources.seam import NOBODY, Places, summed, trainable, zeros_for
from gossipfl.privacy.streams import CHUNK

NORM = "clipping/norm"
"""Key of the clipping norm among what a checkpoint keeps."""


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
        self._norm = ClippingNorm(self._plan.clips)
        shares = 1.0 if parts.shares is None else parts.shares
        self._rates = self._plan.sample_rate * shares

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`: Poisson sampling, each unit by itself."""
        receipt = self._parts.account.charge(self._plan.charge())
        chosen = self._parts.batches.at(step).uniform(self._plan.units) < self._rates
        units = np.flatnonzero(chosen).astype(np.int64)
        return Drawn(receipt, units, self._norm.clip(), self._plan.expected_batch)

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:
        """See `Mechanism.finish`: noise in float64, drawn parameter after parameter."""
        noise = self._parts.noise.at(step)
        # of the clip that the sum was made with
        clip = drawn.clip or Clip(self._plan.max_grad_norm)
        deviation = self._plan.clips.gradient_noise * clip.norm
        for part in torch.split(sums, CHUNK):
            noised = torch.from_numpy(noise.normal(part.numel())).mul_(deviation).to(part.device)
            part.copy_(noised.add_(part).div_(drawn.divisor))
        if clip.short is not None:
            normal = float(noise.normal(1)[0])
            self._norm.follow(clip.short.count, len(drawn.units), expected_batch=drawn.divisor, normal=normal)
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

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:  # noqa: ARG002  # phases are alike
        """See `Mechanism.release`: every step in it was noised already."""
        return after

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """See `Mechanism.durable`: the clipping norm, where it follows the gradients."""
        return {NORM: np.asarray(self._norm.value)} if self._plan.clips.adapting is not None else {}

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Mechanism.restore`."""
        if NORM in kept and self._plan.clips.adapting is not None:
            self._norm.restore(np.float32(kept[NORM]))

    def close(self) -> None:
        """Takes the gradient source off the module."""
        self._source.close()

    @cached_property
    def _source(self) -> UnitSource:
        """Made when first used: a driver of many nodes has its own."""
        return self._parts.source or HookedGradients(self._parts.module, self._parts.losses)
