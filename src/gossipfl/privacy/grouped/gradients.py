"""Gradients of many groups in one pass, see `ManyGradients`.

groups ─ sorted by rows ─> rows of all, values stacked ─> engine ─> by row, clipped, summed   (some group clips)
                                                               └──> summed by group in the pass (none does)
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.engine import GroupedEngine
from gossipfl.privacy.grouped.layout import Layout
from gossipfl.privacy.grouped.padding import FILL, join
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.grouped.stacked import StackedEngine
from gossipfl.privacy.rows import RowLosses, Rows
from gossipfl.privacy.sources.clipping import add_clipped
from gossipfl.privacy.sources.hooks import refuse_batch_norm
from gossipfl.privacy.sources.seam import zeros_for


class GroupedGradients:
    """Many groups through the layers of one module.

    Args:
        module: its trainable parameters are what every group has values of.
        losses: one loss a row.
        fill: what tensors of unequal length are padded with, by name.
        dropout: leave the module in training mode; where a group clips there is none.

    Memory beside one pass: groups × trainable × 4 bytes for the values, as much for the result, and rows × trainable
    × 4 bytes where a group clips.

    A module with trained layers of other kinds goes row by row through `StackedEngine`, if torch can vectorize it: for
    small models.

    Raises:
        PrivacyError: there is a BatchNorm, which mixes rows.
    """

    def __init__(
        self, module: nn.Module, losses: RowLosses, *, fill: Mapping[str, float] = FILL, dropout: bool = False
    ) -> None:
        refuse_batch_norm(module)
        self._module = module
        self._engine: GroupedEngine | StackedEngine = _engine(module, losses)
        self._fill = fill
        self._dropout = dropout

    def sums(self, groups: Sequence[Group]) -> Tensor:
        """See `ManyGradients.sums`."""
        order = [place for place, group in enumerate(groups) if group.rows.count]
        order.sort(key=lambda place: groups[place].rows.count)
        sums = self._sums([groups[place] for place in order]) if order else None
        if sums is None or order != list(range(len(groups))):
            found, sums = sums, zeros_for(self._module).repeat(len(groups), 1)
            if found is not None:
                sums[order] = found
        if any(group.divisor != 1.0 for group in groups):
            sums.div_(torch.tensor([group.divisor for group in groups], device=sums.device)[:, None])
        return sums

    def clear(self) -> None:
        """Gives memory back that the next call would use again."""
        self._engine.clear()

    def _sums(self, groups: Sequence[Group]) -> Tensor:
        """Of groups with rows, fewest first."""
        rows = join([group.rows for group in groups], self._fill)
        layout = Layout(tuple(group.rows.count for group in groups), rows.unit.device)
        clips = any(group.clip is not None for group in groups)
        self._engine.set_dropout(on=self._dropout and not clips)
        found = self._engine.gradients(rows, layout, self._values(groups), by_row=clips)
        if not clips:
            return torch.cat([gradient.flatten(1) for gradient in found], dim=1)
        sums = zeros_for(self._module).repeat(len(groups), 1)
        sizes = [group.rows.units for group in groups]
        limits = [torch.inf if group.clip is None else group.clip for group in groups]
        each = torch.tensor(limits, device=sums.device).repeat_interleave(torch.tensor(sizes, device=sums.device))
        add_clipped(rows.by_unit(found), each, sizes, sums)
        return sums

    def _values(self, groups: Sequence[Group]) -> list[Tensor]:
        """(groups, …) of each parameter."""
        shared = self._engine.shared()
        own = [group.vector for group in groups]
        if all(vector is None for vector in own):
            return [value.expand(len(groups), *value.shape[1:]) for value in shared]
        flat = torch.cat([value.flatten() for value in shared])
        stacked = torch.stack([flat if vector is None else vector for vector in own])
        parts = torch.split(stacked, [value.numel() for value in shared], dim=1)
        return [part.reshape(len(groups), *value.shape[1:]) for part, value in zip(parts, shared, strict=True)]


def _engine(module: nn.Module, losses: RowLosses) -> GroupedEngine | StackedEngine:
    try:
        return GroupedEngine(module, losses)
    except PrivacyError:
        return StackedEngine(module, losses)


def grouping_problem(module: nn.Module, losses: RowLosses, rows: Rows) -> str:
    """Why a module cannot be grouped, in one line; empty if it can.

    Args:
        rows: one row at least, to see what the layers are fed.
    """
    try:
        _engine(module, losses).probe(rows)
    except PrivacyError as error:
        return str(error)
    return ""
