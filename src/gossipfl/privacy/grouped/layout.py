"""How the rows of a pass belong to groups.

    groups, fewest rows first    0 1 2 | 3 4 | 5          blocks: groups with equally many rows
    rows                         0 1 2 | 33 44 | 555

In a block the rows (groups · n, …) are seen as (groups, n · …) without a copy, and one `bmm` serves all its groups:
there are at most √(2 · rows) blocks, however unequal the groups are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Block:
    """Groups with equally many rows, and these rows.

    Attributes:
        groups: their positions.
        rows: the positions of their rows.
        count: number of groups.
    """

    groups: slice
    rows: slice
    count: int

    def of_rows(self, tensor: Tensor) -> Tensor:
        """(rows, middle, features) of the whole pass to (groups, rows of a group · middle, features) of the block."""
        part = tensor[self.rows]
        return part.reshape(self.count, -1, part.shape[-1])


@dataclass(frozen=True)
class Layout:
    """Which rows belong to which group.

    Attributes:
        counts: rows of each group, at least 1, ascending.
        device: of the tensors.
    """

    counts: tuple[int, ...]
    device: torch.device

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.counts)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.counts)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Runs of groups with equally many rows."""
        return tuple(_blocks(self.counts))

    @cached_property
    def group_of_row(self) -> Tensor:
        """(rows,) int64."""
        counts = torch.tensor(self.counts, device=self.device)
        return torch.repeat_interleave(torch.arange(self.groups, device=self.device), counts)


def _blocks(counts: Sequence[int]) -> Iterator[Block]:
    group = row = 0
    for rows_each, run in groupby(counts):
        groups = len(list(run))
        rows = groups * rows_each
        yield Block(slice(group, group + groups), slice(row, row + rows), groups)
        group, row = group + groups, row + rows
