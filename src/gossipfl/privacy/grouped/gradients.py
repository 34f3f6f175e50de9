"""Gradients of many groups in one pass, see `ManyGradients`.

groups ─ sorted by rows ─> rows of all, values stacked ─> engine ─> by row, clipped, summed   (some group clips)
                                                               └──> summed by group in the pass (none does)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import is_

import torch
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.collected import Storage
from gossipfl.privacy.grouped.engine import GroupedEngine
from gossipfl.privacy.grouped.layout import Layout
from gossipfl.privacy.grouped.padding import FILL, join
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.grouped.stacked import StackedEngine
from gossipfl.privacy.rows import RowLosses, Rows
from gossipfl.privacy.sources.clip import note_short
from gossipfl.privacy.sources.clipping import add_clipped
from gossipfl.privacy.sources.hooks import refuse_batch_norm
from gossipfl.privacy.sources.seam import Places, zeros_for

_KEPT = 16
"""Passes whose rows are kept side by side."""


@dataclass(frozen=True, slots=True)
class _Joined:
    """The rows of a pass.

    Attributes:
        batches: what they were made from, by identity.
        rows: side by side.
    """

    batches: tuple[Rows, ...]
    rows: Rows
    layout: Layout


class GroupedGradients:
    """Many groups through the layers of one module.

    Args:
        module: its trainable parameters are what every group has values of.
        losses: one loss a row.
        fill: what tensors of unequal length are padded with, by name.
        dropout: leave the module in training mode; where a group clips there is none.
        reuse: the result is valid until the next call, which writes over it: new memory costs more than a small pass.

    Memory beside one pass: groups × trainable × 4 bytes for the values, as much for the result, and rows × trainable
    × 4 bytes where a group clips.

    A module with trained layers of other kinds goes row by row through `StackedEngine`, if torch can vectorize it: for
    small models.

    Raises:
        PrivacyError: there is a BatchNorm, which mixes rows.
    """

    def __init__(
        self,
        module: nn.Module,
        losses: RowLosses,
        *,
        fill: Mapping[str, float] = FILL,
        dropout: bool = False,
        reuse: bool = False,
    ) -> None:
        refuse_batch_norm(module)
        self._module = module
        self._engine: GroupedEngine | StackedEngine = _engine(module, losses)
        self._fill = fill
        self._dropout = dropout
        self._joined: dict[int, _Joined] = {}
        self._stacked = Storage()
        self._sum = Storage() if reuse else None

    def sums(self, groups: Sequence[Group]) -> Tensor:
        """See `ManyGradients.sums`."""
        counts = [group.rows.count for group in groups]
        order = sorted((place for place, count in enumerate(counts) if count), key=counts.__getitem__)
        found, short = self._sums([groups[place] for place in order]) if order else (None, [])
        if found is None or order != list(range(len(groups))):
            sums = zeros_for(self._module).repeat(len(groups), 1)
            if found is not None:
                sums[order] = found
        else:
            sums = found
        if any(group.divisor != 1.0 for group in groups):
            sums.div_(torch.tensor([group.divisor for group in groups], device=sums.device)[:, None])
        # last: a pass that fails, and is tried again, has counted nothing
        for place, count in zip(order, short, strict=True):
            note_short(groups[place].clip, count)
        return sums

    def clear(self) -> None:
        """Gives memory back that the next call would use again."""
        self._engine.clear()
        self._joined.clear()
        self._stacked.clear()
        if self._sum is not None:
            self._sum.clear()

    def _sums(self, groups: Sequence[Group]) -> tuple[Tensor, list[int]]:
        """Of groups with rows, fewest first; and how many units of each were short enough."""
        joined = self._side_by_side(tuple(group.rows for group in groups))
        rows, layout = joined.rows, joined.layout
        clips = any(group.clip is not None for group in groups)
        self._engine.set_dropout(on=self._dropout and not clips)
        found = self._engine.gradients(rows, layout, self._values(groups), by_row=clips)
        resting = [group.resting for group in groups]
        if not clips:
            sums = _without(self._behind([gradient.flatten(1) for gradient in found], layout), found, resting)
            return sums, [0] * len(groups)
        sums = zeros_for(self._module).repeat(len(groups), 1)
        sizes = [group.rows.units for group in groups]
        short = add_clipped(rows.by_unit(found), [group.clip for group in groups], sizes, sums, resting)
        return sums, short

    def _side_by_side(self, batches: tuple[Rows, ...]) -> _Joined:
        """The rows of all; of batches that come again, as where each is all that a node has, those of the last time."""
        key = id(batches[0])
        joined = self._joined.get(key)
        if joined is None or not _same(joined.batches, batches):
            rows = join(batches, self._fill)
            joined = _Joined(batches, rows, Layout(tuple(batch.count for batch in batches), rows.unit.device))
            if len(self._joined) >= _KEPT:
                del self._joined[next(iter(self._joined))]
            self._joined[key] = joined
        return joined

    def _behind(self, parts: Sequence[Tensor], layout: Layout) -> Tensor:
        if self._sum is None:
            return torch.cat(list(parts), dim=1)
        size = sum(part.shape[1] for part in parts)
        into = self._sum.take(layout.groups * size, layout.device).view(layout.groups, size)
        return torch.cat(list(parts), dim=1, out=into)

    def _values(self, groups: Sequence[Group]) -> list[Tensor]:
        """(groups, …) of each parameter."""
        shared = self._engine.shared()
        own = [group.vector for group in groups if group.vector is not None]
        if not own:
            return [value.expand(len(groups), *value.shape[1:]) for value in shared]
        if len(own) < len(groups):
            flat = torch.cat([value.flatten() for value in shared])
            own = [flat if group.vector is None else group.vector for group in groups]
        into = self._stacked.take(len(own) * own[0].numel(), own[0].device).view(len(own), -1)
        stacked = torch.stack(own, out=into)
        parts = torch.split(stacked, [value.numel() for value in shared], dim=1)
        return [part.reshape(len(groups), *value.shape[1:]) for part, value in zip(parts, shared, strict=True)]


def _without(sums: Tensor, parts: Sequence[Tensor], resting: Sequence[Places]) -> Tensor:
    """Sums (groups, size), put together from the parts (groups, …), with zeros where a group rests."""
    if any(resting):
        pieces = torch.split(sums, [part[0].numel() for part in parts], dim=1)
        for group, places in enumerate(resting):
            for place in places:
                pieces[place][group] = 0.0
    return sums


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _engine(module: nn.Module, losses: RowLosses) -> GroupedEngine | StackedEngine:
    try:
        return GroupedEngine(module, losses)
    except PrivacyError:
        return StackedEngine(module, losses)


def grouping_problem(module: nn.Module, losses: RowLosses, rows: Rows) -> str:
    """Why a module cannot be grouped, in one line; empty if it can.

    Args:
        rows: one row at least, which goes forward and back.
    """
    try:
        GroupedGradients(module, losses).sums([Group(None, rows.row(0), None)])
    except PrivacyError as error:
        return str(error)
    return ""
