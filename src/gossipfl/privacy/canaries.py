"""Canaries whose gradient is one trained value of their own, and what a node's own mechanism shows of them.

    unit n + i, when it is drawn ──> gradient  length · e_{place i}  ──> clipped, summed, noised like any other

They go through the mechanism's own sampling, clipping, noise and account; only what a batch of them gives is written
here. Their places are those that the data itself moves the least: what an adversary would choose.

Source: Nasr et al. (2023), Steinke, Nasr & Jagielski (2023): Dirac canaries.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossipfl.privacy.mechanisms import Units
from gossipfl.privacy.rows import RowLosses, Rows, row_losses
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.clipping import add_one_batch
from gossipfl.privacy.sources.seam import NOBODY, Places, UnitSource, pieces, trainable

CANARY = "canary"
"""Name of the tensor by which rows of canaries are known: (rows,) int64, which one."""
Flags = NDArray[np.bool_]
Load = Callable[[Units], Iterator[Rows]]


@dataclass(frozen=True, slots=True)
class Canaries:
    """Units behind those of the data, each with a trained value of its own.

    Attributes:
        first: number of the first one's unit.
        places: (canaries,) int64 in the flat vector of `module.parameters()`, all different.
        length: of a canary's gradient, before it is clipped.
    """

    first: int
    places: NDArray[np.int64]
    length: float


class CanarySource:
    """Unit gradients of rows and of canaries, see `UnitSource`."""

    def __init__(self, inner: UnitSource, canaries: Canaries, module: nn.Module) -> None:
        self._inner = inner
        self._canaries = canaries
        self._trained = trainable(module)

    def add(self, rows: Rows, clip: Clip | None, into: Tensor, resting: Places = NOBODY) -> None:
        """See `GradientSource.add`."""
        if CANARY not in rows.tensors:
            self._inner.add(rows, clip, into, resting)
            return
        add_one_batch(self.unit_gradients(rows), clip, into, resting)

    def unit_gradients(self, rows: Rows) -> Sequence[Tensor]:
        """See `UnitSource`."""
        if CANARY not in rows.tensors:
            return self._inner.unit_gradients(rows)
        numbers = rows.tensors[CANARY]
        sizes = [parameter.numel() for parameter in self._trained]
        flat = torch.zeros(len(numbers), sum(sizes), device=numbers.device)
        places = torch.from_numpy(self._canaries.places).to(numbers.device)[numbers]
        flat[torch.arange(len(numbers), device=numbers.device), places] = self._canaries.length
        parts = torch.split(flat, sizes, dim=1)
        return [part.reshape(-1, *own.shape) for part, own in zip(parts, self._trained, strict=True)]

    def clear(self) -> None:
        """See `GradientSource.clear`."""
        self._inner.clear()

    def close(self) -> None:
        """See `GradientSource.close`."""
        self._inner.close()


def with_canary_losses(losses: RowLosses, canaries: Canaries, module: nn.Module) -> RowLosses:
    """Losses of rows, and of canaries: linear, so that plain backward passes give their gradients."""
    # found once: a parameter that rests for a phase is not trainable meanwhile
    trained = trainable(module)
    places = torch.from_numpy(canaries.places)

    def planted(model: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        if CANARY not in tensors:
            return losses(model, tensors)
        values = torch.cat([parameter.float().flatten() for parameter in trained])
        return canaries.length * values[places.to(values.device)[tensors[CANARY]]]

    return planted


def load_present(
    load: Load, present: Flags, *, canaries: Canaries | None, micro_batch: int, device: torch.device
) -> Load:
    """Rows of those units that are in; a unit that is out is drawn like the others and adds nothing.

    Args:
        load: rows of the data's units.
        present: (units,) who is in, canaries behind the data.
        device: where the model is.
    """
    first = len(present) if canaries is None else canaries.first

    def loaded(units: Units) -> Iterator[Rows]:
        there = units[present[units]]
        yield from load(there[there < first])
        drawn = there[there >= first] - first
        for start in range(0, len(drawn), micro_batch):
            numbers = torch.from_numpy(drawn[start : start + micro_batch])
            yield Rows({CANARY: numbers.to(device)}, torch.arange(len(numbers), device=device))

    return loaded


def quiet_places(
    module: nn.Module, losses: RowLosses, batches: Iterable[Rows], among: Flags, draw: np.random.Generator
) -> NDArray[np.int64]:
    """Places in the flat vector, those first that these rows' gradients move the least; alike ones by lot.

    Args:
        batches: rows of the data; where the module stands now is where it is measured.
        among: (size,) places that may be taken.
    """
    trained = trainable(module)
    total = torch.zeros(len(among))
    for rows in batches:
        loss = row_losses(losses, module, rows).sum()
        gradients = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
        for piece, gradient in zip(pieces(total, trained), gradients, strict=True):
            piece.add_(gradient.float().abs().cpu())
    order = np.lexsort((draw.random(len(among)), total.numpy()))
    return order[among[order]].astype(np.int64)
