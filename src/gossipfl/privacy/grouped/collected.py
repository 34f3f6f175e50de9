"""The gradients of one pass, as the backward pass finds them: of every row, or summed by group.

    by row     g_r = P_rᵀ Q_r            one bmm over rows          (rows, …)
    by group   g_k = Σ_{r in k} g_r      one bmm over each block    (groups, …)

A product with more rows than columns is computed and kept the other way round, which is up to four times as fast.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gossipfl.privacy.grouped.layout import Layout


class Storage:
    """Memory for all gradients of a pass, used again by every pass until it is cleared.

    One block: in many it would lie between activations, and what is freed in pieces does not go back to the system.
    """

    def __init__(self) -> None:
        self._block: Tensor | None = None

    def take(self, size: int, device: torch.device) -> Tensor:
        """(size,) fp32 with whatever is in it."""
        if self._block is None or self._block.numel() < size or self._block.device != device:
            # the old one first: both need not be there at once
            self._block = None
            self._block = torch.empty(size, device=device)
        return self._block[:size]

    def clear(self) -> None:
        """Gives the memory back."""
        self._block = None


class Collected:
    """Gradients of the trainable parameters, which are known here by their place in the flat vector.

    Args:
        shapes: of the parameters.
        by_row: one gradient for each row, not for each group.
        straight: places that are also written entry by entry, and so never kept the other way round.
    """

    def __init__(
        self, shapes: Sequence[torch.Size], layout: Layout, storage: Storage, *, by_row: bool, straight: frozenset[int]
    ) -> None:
        self.layout = layout
        self.by_row = by_row
        self._shapes = shapes
        sizes = [self.count * shape.numel() for shape in shapes]
        self._parts = torch.split(storage.take(sum(sizes), layout.device), sizes)
        self._straight = straight
        self._found: dict[int, Tensor] = {}

    @property
    def count(self) -> int:
        """Gradients of each parameter."""
        return self.layout.rows if self.by_row else self.layout.groups

    def gradients(self) -> list[Tensor]:
        """(count, …) for each parameter, valid until the storage is used again; zeros where one took no part."""
        return [self._gradient(place, shape) for place, shape in enumerate(self._shapes)]

    def add_product(self, place: int, left: Tensor, right: Tensor) -> None:
        """Adds leftᵀ · right, summed over each row's middle: of (rows, middle, a) and (rows, middle, b), (…, a, b)."""
        if self._swapped(place):
            left, right = right, left
        fresh = place not in self._found
        into = self._memory(place)
        if self.by_row:
            _product(left, right, into, fresh=fresh)
            return
        for block in self.layout.blocks:
            _product(block.of_rows(left), block.of_rows(right), into[block.groups], fresh=fresh)

    def add_rows(self, place: int, values: Tensor) -> None:
        """Adds one small gradient for each row, (rows, …)."""
        into = self._zeroed(place)
        if self.by_row:
            into.add_(values)
        else:
            into.index_add_(0, self.layout.group_of_row, values.to(into.dtype))

    def add_entries(self, place: int, entries: Tensor, values: Tensor) -> None:
        """Adds to single rows of a table: of (rows, …) numbers of its rows and (rows, …, features)."""
        into = self._zeroed(place)
        owner = torch.arange(self.layout.rows, device=entries.device) if self.by_row else self.layout.group_of_row
        flat = entries.reshape(len(entries), -1) + owner[:, None] * into.shape[1]
        table = into.view(-1, into.shape[2])
        table.index_add_(0, flat.reshape(-1), values.reshape(-1, into.shape[2]).to(into.dtype))

    def _swapped(self, place: int) -> bool:
        shape = self._shapes[place]
        return len(shape) == 2 and shape[0] > shape[1] and place not in self._straight

    def _memory(self, place: int) -> Tensor:
        """In the order in which it is kept; what is in it counts from the second time on."""
        if place not in self._found:
            shape = self._shapes[place]
            kept = shape[::-1] if self._swapped(place) else shape
            self._found[place] = self._parts[place].view(self.count, *kept)
        return self._found[place]

    def _zeroed(self, place: int) -> Tensor:
        fresh = place not in self._found
        memory = self._memory(place)
        return memory.zero_() if fresh else memory

    def _gradient(self, place: int, shape: torch.Size) -> Tensor:
        found = self._found.get(place)
        if found is None:
            return torch.zeros((), device=self.layout.device).expand(self.count, *shape)
        return found.mT if self._swapped(place) else found


def _product(left: Tensor, right: Tensor, into: Tensor, *, fresh: bool) -> None:
    if left.dtype != into.dtype:
        found = torch.bmm(left.mT, right)
        into.copy_(found) if fresh else into.add_(found)
    elif fresh:
        torch.bmm(left.mT, right, out=into)
    else:
        into.baddbmm_(left.mT, right)
