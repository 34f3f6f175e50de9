"""No privacy: the plain mean gradient of a batch. Every epoch takes every unit once, in an order of its own."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gossipfl.core.messages import Receipt
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Units, Vector
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import NOBODY, Places

_STEP = Charge(sample_rate=1.0, noise_multiplier=0.0)


class PlainMechanism:
    """Mean gradient over the units of a batch, see `Mechanism`."""

    def __init__(self, parts: MechanismParts) -> None:
        self._parts = parts
        self._source = PlainGradients(parts.module, parts.losses)
        self._count = math.ceil(parts.units / parts.batch_size)
        # a batch of all units needs no order
        self._epoch = Epoch(-1, (np.arange(parts.units, dtype=np.int64),))
        self._drops = any(_drops(layer) for layer in parts.module.modules())

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`."""
        receipt = self._parts.account.charge(_STEP)
        units = self._choose(step)
        return Drawn(receipt, units, None, float(len(units)))

    def finish(self, step: int, drawn: Drawn, sums: Tensor) -> Tensor:  # noqa: ARG002  # every step is alike
        """See `Mechanism.finish`: the mean."""
        return sums.div_(drawn.divisor)

    def gradient(self, step: int, resting: Places = NOBODY) -> Receipt:
        """See `Mechanism.gradient`."""
        drawn = self.draw(step)
        self._parts.module.train()
        with self._dropout_of(step):
            self._source.leave(self._parts.load(drawn.units), drawn.divisor, resting)
        return drawn.receipt

    def release(self, first_step: int, before: Vector, after: Vector, *, phase: int) -> Vector:  # noqa: ARG002  # phases are alike
        """See `Mechanism.release`: as it is."""
        return after

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """See `Mechanism.durable`: nothing."""
        return {}

    def restore(self, kept: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Mechanism.restore`."""

    @contextmanager
    def _dropout_of(self, step: int) -> Iterator[None]:
        """Seeds dropout, if there is any: that of a resumed run is that of an uninterrupted one."""
        if not self._drops:
            yield
            return
        with torch.random.fork_rng():
            torch.manual_seed(int(self._parts.noise.at(step).uniform(1)[0] * 2**53))
            yield

    def _choose(self, step: int) -> Units:
        """The units of batch `step`: an epoch is cut into batches of nearly equal size, at most `batch_size`."""
        number, place = divmod(step, self._count)
        if number != self._epoch.number and self._count > 1:
            keys = self._parts.batches.at(number).uniform(self._parts.units)
            order = np.argsort(keys, kind="stable").astype(np.int64)
            self._epoch = Epoch(number, tuple(np.array_split(order, self._count)))
        return self._epoch.batches[place]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over all units.

    Attributes:
        batches: units of each.
    """

    number: int
    batches: tuple[Units, ...]


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, _DropoutNd) and layer.p > 0
