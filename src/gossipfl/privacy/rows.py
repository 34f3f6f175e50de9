"""One micro-batch as a mechanism sees it: rows of tensors, and which unit each row belongs to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

RowLosses = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
"""(module, tensors) to one loss a row, (rows,); a row's loss depends on that row alone."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A micro-batch of whole units: no unit is split over two micro-batches.

    Attributes:
        tensors: by name, each (rows, …).
        unit: (rows,) int64, position of each row's unit within this micro-batch, 0 … units − 1, each at least once.
    """

    tensors: Mapping[str, Tensor]
    unit: Tensor

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.unit.shape[0])

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.unit.max()) + 1 if self.count else 0

    def weights(self) -> Tensor:
        """(rows,) share of each row in its unit's loss: a unit's loss is the mean of its rows'."""
        units = self.units
        if units == self.count:
            return torch.ones(units, device=self.unit.device)
        sizes = torch.bincount(self.unit, minlength=units)
        return 1.0 / sizes[self.unit].to(torch.float32)

    def by_unit(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Sums over the rows of each unit, (rows, …) to (units, …); the values themselves where each row is a unit."""
        units = self.units
        if units == self.count and torch.equal(self.unit, torch.arange(units, device=self.unit.device)):
            return list(values)
        empty = [torch.zeros(units, *value.shape[1:], device=value.device, dtype=value.dtype) for value in values]
        return [into.index_add_(0, self.unit, value) for into, value in zip(empty, values, strict=True)]

    def row(self, place: int) -> "Rows":
        """One row alone, as a unit of its own."""
        alone = {name: tensor[place : place + 1] for name, tensor in self.tensors.items()}
        return Rows(alone, torch.zeros(1, dtype=torch.int64, device=self.unit.device))

    def first(self, count: int) -> "Rows":
        """The first rows, each as a unit of its own."""
        head = {name: tensor[:count] for name, tensor in self.tensors.items()}
        return Rows(head, torch.arange(min(count, self.count), device=self.unit.device))


def row_losses(losses: RowLosses, module: nn.Module, rows: Rows) -> Tensor:
    """The losses of the rows; a task that returns another number of them is a bug."""
    values = losses(module, rows.tensors)
    if values.shape != (rows.count,):
        raise ValueError(f"one loss a row was expected, ({rows.count},), not {tuple(values.shape)}")
    return values
