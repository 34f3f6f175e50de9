"""No privacy: the plain mean gradient of a batch. Every epoch takes every unit once, in an order of its own."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from gossipfl.core.events import Receipt
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms.parts import MechanismParts, Units
from gossipfl.privacy.rows import row_losses
from gossipfl.privacy.streams import Float64Vector


class PlainMechanism:
    """Mean gradient over the units of a batch, see `Mechanism`."""

    def __init__(self, parts: MechanismParts) -> None:
        self._parts = parts
        self._trained = [parameter for parameter in parts.module.parameters() if parameter.requires_grad]
        self._epochs = EpochOrder(-1, np.empty(0))

    def gradient(self, step: int) -> Receipt:
        """See `Mechanism.gradient`."""
        receipt = self._parts.account.charge(Charge(sample_rate=1.0, noise_multiplier=0.0))
        units = self._draw(step)
        for parameter in self._trained:
            parameter.grad = torch.zeros_like(parameter)
        try:
            self._accumulate(units, step)
        except BaseException:
            for parameter in self._trained:
                parameter.grad = None
            raise
        return receipt

    def _draw(self, step: int) -> Units:
        """The units of batch `step`: an epoch is cut into batches of nearly equal size, at most `batch_size`."""
        batches = math.ceil(self._parts.units / self._parts.batch_size)
        epoch, place = divmod(step, batches)
        if epoch != self._epochs.epoch:
            self._epochs = EpochOrder(epoch, self._parts.batches.at(epoch).uniform(self._parts.units))
        return np.array_split(np.argsort(self._epochs.keys, kind="stable"), batches)[place].astype(np.int64)

    def _accumulate(self, units: Units, step: int) -> None:
        module = self._parts.module
        module.train()
        with torch.random.fork_rng(), torch.enable_grad():
            # dropout of a resumed run is that of an uninterrupted one
            torch.manual_seed(int(self._parts.noise.at(step).uniform(1)[0] * 2**53))
            for rows in self._parts.load(units):
                weighted = row_losses(self._parts.losses, module, rows) * rows.weights()
                loss = weighted.sum() / len(units)
                if loss.requires_grad:
                    loss.backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """Random keys of one epoch, one a unit; sorting them gives the order."""

    epoch: int
    keys: Float64Vector
