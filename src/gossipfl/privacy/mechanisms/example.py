"""DP-SGD: every unit's gradient is clipped, the sum is noised, and divided by the expected batch.

    g = ( Σ_{u in batch} g_u · min(1, C/‖g_u‖)  +  σ·C·N(0, I) ) / (q·n)        each u in the batch with probability q

An empty batch is a step of pure noise, charged and applied. The norm is over all trainable parameters together.

Source: Abadi et al. (2016); clipping by Opacus' `DPOptimizer`, noise from our own stream.
"""

import numpy as np
import torch

from gossipfl.core.events import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.mechanisms.parts import MechanismParts, Units
from gossipfl.privacy.opacus_parts import DPOptimizer
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.streams import Stream
from gossipfl.privacy.unit_gradients import UnitGradients


class ExampleMechanism:
    """Noised mean gradient of a Poisson-drawn batch, see `Mechanism`.

    At most micro_batch × trainable × 4 bytes of unit gradients are alive, freed after each micro-batch.
    """

    def __init__(self, parts: MechanismParts) -> None:
        if parts.plan is None:
            raise PrivacyError("privacy.level example needs a plan: target_epsilon or noise_multiplier")
        self._parts = parts
        self._plan: Plan = parts.plan
        self._gradients = UnitGradients(parts.module, parts.losses)
        self._trained = [parameter for _, parameter in self._gradients.parameters]
        # it only clips: the optimizer inside never steps
        self._clipper = DPOptimizer(
            torch.optim.SGD(self._trained, lr=0.0),
            noise_multiplier=self._plan.noise_multiplier,
            max_grad_norm=self._plan.max_grad_norm,
            expected_batch_size=None,
            loss_reduction="sum",
        )

    def gradient(self, step: int) -> Receipt:
        """See `Mechanism.gradient`."""
        receipt = self._parts.account.charge(self._plan.charge())
        self._drop_gradients()
        try:
            self._sum_clipped(self._draw(step))
            self._publish(self._parts.noise.at(step))
        except BaseException:
            self._drop_gradients()
            raise
        finally:
            self._gradients.clear()
            for parameter in self._trained:
                parameter.summed_grad = None  # type: ignore[attr-defined]
        return receipt

    def close(self) -> None:
        """Takes the hooks off the module."""
        self._gradients.close()

    def _draw(self, step: int) -> Units:
        drawn = self._parts.batches.at(step).uniform(self._plan.units) < self._plan.sample_rate
        return np.flatnonzero(drawn).astype(np.int64)

    def _sum_clipped(self, units: Units) -> None:
        if len(units) == 0:
            return
        for rows in self._parts.load(units):
            if rows.count:
                self._gradients.compute(rows)
                self._clipper.clip_and_accumulate()
                self._gradients.clear()

    def _publish(self, noise: Stream) -> None:
        """Noise in float64 on the sum, then the division; nothing un-noised is left in `grad`."""
        deviation = self._plan.noise_multiplier * self._plan.max_grad_norm
        for parameter in self._trained:
            drawn = torch.from_numpy(noise.normal(parameter.numel())).mul_(deviation)
            noised = drawn.reshape(parameter.shape).to(parameter.device)
            clipped: torch.Tensor | None = parameter.summed_grad  # type: ignore[attr-defined]
            if clipped is not None:
                noised += clipped
            parameter.grad = (noised / self._plan.expected_batch).to(parameter.dtype)

    def _drop_gradients(self) -> None:
        for parameter in self._trained:
            parameter.grad = None
