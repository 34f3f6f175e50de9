"""No privacy: the plain mean gradient of a batch. Every epoch takes every unit once, in an order of its own."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gossipfl.core.events import Receipt
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Units, drop, leave
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import summed, trainable, zeros_for
from gossipfl.privacy.streams import Float64Vector


class PlainMechanism:
    """Mean gradient over the units of a batch, see `Mechanism`."""

    def __init__(self, parts: MechanismParts) -> None:
        self._parts = parts
        self._trained = trainable(parts.module)
        self._source = PlainGradients(parts.module, parts.losses)
        self._epochs = EpochOrder(-1, np.empty(0))

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`."""
        receipt = self._parts.account.charge(Charge(sample_rate=1.0, noise_multiplier=0.0))
        units = self._choose(step)
        return Drawn(receipt, units, None, float(len(units)))

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:  # noqa: ARG002  # every step is alike
        """See `Mechanism.finish`: the mean."""
        return sums.div_(drawn.divisor)

    def gradient(self, step: int) -> Receipt:
        """See `Mechanism.gradient`."""
        drawn = self.draw(step)
        drop(self._trained)
        sums = zeros_for(self._parts.module)
        self._parts.module.train()
        with torch.random.fork_rng():
            # dropout of a resumed run is that of an uninterrupted one
            torch.manual_seed(int(self._parts.noise.at(step).uniform(1)[0] * 2**53))
            summed(self._source, self._parts.load(drawn.units), drawn.clip, sums)
        leave(self.finish(step, drawn, sums), self._trained)
        return drawn.receipt

    def _choose(self, step: int) -> Units:
        """The units of batch `step`: an epoch is cut into batches of nearly equal size, at most `batch_size`."""
        batches = math.ceil(self._parts.units / self._parts.batch_size)
        epoch, place = divmod(step, batches)
        if epoch != self._epochs.epoch:
            self._epochs = EpochOrder(epoch, self._parts.batches.at(epoch).uniform(self._parts.units))
        return np.array_split(np.argsort(self._epochs.keys, kind="stable"), batches)[place].astype(np.int64)


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """Random keys of one epoch, one a unit; sorting them gives the order."""

    epoch: int
    keys: Float64Vector
