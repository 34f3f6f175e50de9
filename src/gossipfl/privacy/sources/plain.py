"""Sums of gradients by one plain backward pass: for training without privacy."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gossipfl.privacy.rows import RowLosses, Rows, row_losses
from gossipfl.privacy.sources.seam import pieces, trainable


class PlainGradients:
    """The sum over units, see `GradientSource`; it cannot clip. The module stays in the mode it is in."""

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        self._module = module
        self._losses = losses
        self._trained = trainable(module)

    def add(self, rows: Rows, clip: float | None, into: Tensor) -> None:
        """See `GradientSource.add`."""
        if clip is not None:
            raise ValueError("a plain backward pass knows no single unit's gradient to clip")
        total = self._total(rows, 1.0)
        if not total.requires_grad:
            return
        for parameter, piece in zip(self._trained, pieces(into, self._trained), strict=True):
            # torch adds to what is there
            parameter.grad = piece
        try:
            total.backward()  # type: ignore[no-untyped-call]
        finally:
            self.clear()

    def leave(self, batches: Iterable[Rows], divisor: float) -> None:
        """Leaves the sum over all micro-batches, divided, in `grad` of every trained parameter.

        It is what `add` gives up to rounding, without a pass over memory to zero, to add up and to divide a vector.

        Guarantees:
            When anything raises, no gradient is left.
        """
        self.clear()
        try:
            for rows in batches:
                if rows.count and (total := self._total(rows, divisor)).requires_grad:
                    total.backward()  # type: ignore[no-untyped-call]
        except BaseException:
            self.clear()
            raise
        for parameter in self._trained:
            # no loss depends on it: the optimizer's moments fade all the same
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def _total(self, rows: Rows, divisor: float) -> Tensor:
        with torch.enable_grad():
            return (row_losses(self._losses, self._module, rows) * (rows.weights() / divisor)).sum()

    def clear(self) -> None:
        """Takes the gradients off the parameters."""
        for parameter in self._trained:
            parameter.grad = None

    def close(self) -> None:
        """Nothing is on the module."""
