"""No privacy: the plain mean gradient of a batch. Every epoch takes every unit once, in an order of its own.

Units that are drawn more seldom than others have epochs of their own: of each kind a batch has its part.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gossipfl.core.messages import Receipt
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms.epochs import Epochs, epochs_of
from gossipfl.privacy.mechanisms.parts import Drawn, MechanismParts, Vector
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import NOBODY, Places

_STEP = Charge(sample_rate=1.0, noise_multiplier=0.0)


class PlainMechanism:
    """Mean gradient over the units of a batch, see `Mechanism`."""

    def __init__(self, parts: MechanismParts) -> None:
        self._parts = parts
        self._source = PlainGradients(parts.module, parts.losses)
        self._kinds: tuple[Epochs, ...] = epochs_of(parts.units, parts.batch_size, parts.shares)
        self._drops = any(_drops(layer) for layer in parts.module.modules())

    def draw(self, step: int) -> Drawn:
        """See `Mechanism.draw`."""
        receipt = self._parts.account.charge(_STEP)
        chosen = [kind.batch(step, self._parts.batches) for kind in self._kinds]
        # one that is handed out again stays the same array
        units = chosen[0] if len(chosen) == 1 else np.concatenate(chosen)
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


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, _DropoutNd) and layer.p > 0
