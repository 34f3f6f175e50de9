"""Sums of gradients by one plain backward pass: for training without privacy."""

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
        with torch.enable_grad():
            total = (row_losses(self._losses, self._module, rows) * rows.weights()).sum()
        if not total.requires_grad:
            return
        for parameter, piece in zip(self._trained, pieces(into, self._trained), strict=True):
            # torch adds to what is there
            parameter.grad = piece
        try:
            total.backward()  # type: ignore[no-untyped-call]
        finally:
            self.clear()

    def clear(self) -> None:
        """Takes the gradients off the parameters."""
        for parameter in self._trained:
            parameter.grad = None

    def close(self) -> None:
        """Nothing is on the module."""
