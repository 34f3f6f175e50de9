"""Sums of gradients by one plain backward pass: for training without privacy."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gossipfl.privacy.rows import RowLosses, Rows, row_losses
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.seam import NOBODY, Places, pieces, trainable


class PlainGradients:
    """The sum over units, see `GradientSource`; it cannot clip. The module stays in the mode it is in."""

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        self._module = module
        self._losses = losses
        self._trained = trainable(module)

    def add(self, rows: Rows, clip: Clip | None, into: Tensor, resting: Places = NOBODY) -> None:
        """See `GradientSource.add`."""
        if clip is not None:
            raise ValueError("a plain backward pass knows no single unit's gradient to clip")
        with self._resting(resting):
            total = self._total(rows, 1.0)
        if not total.requires_grad:
            return
        for place, piece in enumerate(pieces(into, self._trained)):
            # torch adds to what is there
            self._trained[place].grad = None if place in resting else piece
        try:
            total.backward()  # type: ignore[no-untyped-call]
        finally:
            self.clear()

    def leave(self, batches: Iterable[Rows], divisor: float, resting: Places = NOBODY) -> None:
        """Leaves the sum over all micro-batches, divided, in `grad` of every trained parameter that does not rest.

        It is what `add` gives up to rounding, without a pass over memory to zero, to add up and to divide a vector.

        Guarantees:
            When anything raises, no gradient is left.
        """
        self.clear()
        try:
            with self._resting(resting):
                for rows in batches:
                    if rows.count and (total := self._total(rows, divisor)).requires_grad:
                        total.backward()  # type: ignore[no-untyped-call]
        except BaseException:
            self.clear()
            raise
        for place, parameter in enumerate(self._trained):
            # no loss depends on it: the optimizer's moments fade all the same
            if parameter.grad is None and place not in resting:
                parameter.grad = torch.zeros_like(parameter)

    @contextmanager
    def _resting(self, places: Places) -> Iterator[None]:
        """No gradient is computed for these."""
        parameters = [self._trained[place] for place in places]
        for parameter in parameters:
            parameter.requires_grad = False
        try:
            yield
        finally:
            for parameter in parameters:
                parameter.requires_grad = True

    def _total(self, rows: Rows, divisor: float) -> Tensor:
        with torch.enable_grad():
            return (row_losses(self._losses, self._module, rows) * (rows.weights() / divisor)).sum()

    def clear(self) -> None:
        """Takes the gradients off the parameters."""
        for parameter in self._trained:
            parameter.grad = None

    def close(self) -> None:
        """Nothing is on the module."""
