"""Examples ready for a model, handed out as micro-batches of whole units.

unit        0       1   2         3
row       [0 1 2] [3] [4 5] [6 7 8 9]       unit_starts = 0 3 4 6 10
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gossipfl.config.experiment import TaskConfig
from gossipfl.config.training import GoldfishConfig
from gossipfl.learning.data.blocks import rows_in_memory
from gossipfl.learning.data.content import IGNORED, ChosenRows, Content, Judged
from gossipfl.learning.data.kept_tokens import mapped_rows
from gossipfl.learning.data.kinds import KINDS, Reader, Reading
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.stored_records import chosen
from gossipfl.learning.data.token_folder import TokenPlace
from gossipfl.privacy.rows import Rows

__all__ = ["IGNORED", "Examples", "make_examples"]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows grouped by privacy unit.

    Attributes:
        content: all rows, the rows of a unit next to each other.
        unit_starts: (units + 1,) int64, where the rows of each unit begin.
        device: where the micro-batches are put.
        records: of the rows, where `task.metrics` compares what is said to them; empty otherwise.
    """

    content: Content
    unit_starts: NDArray[np.int64]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    records: Sequence[Record] = ()

    @property
    def units(self) -> int:
        """Number of privacy units."""
        return len(self.unit_starts) - 1

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.content.rows

    @property
    def cut(self) -> int:
        """Rows that lost tokens, being longer than `task.max_length` or than what the tokenizer's model takes."""
        return self.content.cut

    def to(self, device: torch.device) -> Self:
        """The same examples, with micro-batches on another device."""
        return replace(self, device=device)

    def load(self, units: NDArray[np.int64], micro_batch: int) -> Iterator[Rows]:
        """The rows of some units, shortest first, in micro-batches of whole units.

        Args:
            units: positions of the units wished.
            micro_batch: rows at most; a unit with more comes alone.

        Guarantees:
            Every unit wished comes exactly once; the order depends on the arguments only. No unit, no batch.
        """
        firsts, ends = self.unit_starts[units], self.unit_starts[units + 1]
        sizes = ends - firsts
        for pack in _packs(sizes, self.content.order(firsts, ends), micro_batch):
            yield self._loaded(*_rows(firsts[pack], sizes[pack]))

    def only(self, units: NDArray[np.int64]) -> Self:
        """Some units by themselves, to be evaluated; no row is copied."""
        firsts, sizes = self.unit_starts[units], np.diff(self.unit_starts)[units]
        rows, _ = _rows(firsts, sizes)
        records = chosen(self.records, rows.tolist()) if self.records else ()
        starts = np.cumsum([0, *sizes], dtype=np.int64)
        return replace(self, content=ChosenRows(self.content, rows), unit_starts=starts, records=records)

    def together(self, units: NDArray[np.int64]) -> Rows:
        """All rows of some units in one piece, in their order; without units there are no tensors."""
        if not len(units):
            return Rows({}, torch.zeros(0, dtype=torch.int64, device=self.device))
        firsts, sizes = self.unit_starts[units], np.diff(self.unit_starts)[units]
        starts = np.cumsum(sizes) - sizes
        rows = np.repeat(firsts - starts, sizes) + np.arange(int(sizes.sum()))
        return self._loaded(rows, np.repeat(np.arange(len(units)), sizes))

    def rows_in_order(self, micro_batch: int) -> Iterator[Rows]:
        """All rows in their order, for evaluation; here each row is a unit of its own."""
        for first in range(0, self.rows, micro_batch):
            rows = np.arange(first, min(first + micro_batch, self.rows))
            arrays = self.content.judged(rows) if isinstance(self.content, Judged) else self.content.arrays(rows)
            yield self._on_device(arrays, np.arange(len(rows)))

    def _loaded(self, rows: NDArray[np.int64], unit: NDArray[np.int64]) -> Rows:
        return self._on_device(self.content.arrays(rows), unit)

    def _on_device(self, arrays: Mapping[str, NDArray[Any]], unit: NDArray[np.int64]) -> Rows:
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        return Rows(tensors, torch.from_numpy(unit).to(self.device))


def make_examples(
    records: Sequence[Record],
    units: Sequence[Sequence[int]],
    *,
    tokenizer: Reader | None,
    task: TaskConfig,
    goldfish: GoldfishConfig | None = None,
    keep: TokenPlace | None = None,
) -> Examples:
    """Examples of these units' records.

    Args:
        units: positions of each unit's records.
        tokenizer: of the model, or its image processor; None where it reads numbers.
        goldfish: tokens that are left out of the loss: of what is trained on, never of what is evaluated.
        keep: where tokens are kept in files; None: they lie in memory.

    Raises:
        DataError: a record comes to no token at all, or the files cannot be written.
    """
    wanted = chosen(records, [row for unit in units for row in unit])
    kind, reading = KINDS[task.kind], Reading.by(tokenizer, task, goldfish)
    content = rows_in_memory(kind, wanted, reading) if keep is None else mapped_rows(kind, wanted, reading, keep)
    kept = wanted if task.metrics else ()
    return Examples(content, np.cumsum([0, *map(len, units)], dtype=np.int64), records=kept)


def _rows(firsts: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of some units one after the other, and the unit of each."""
    unit = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(sizes) - sizes
    return np.arange(len(unit)) + (firsts - before)[unit], unit


def _packs(sizes: NDArray[np.int64], order: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Cuts `order` into runs whose sizes sum to `most` or less; what is larger by itself comes alone."""
    if (sizes == 1).all():
        yield from (order[first : first + most] for first in range(0, len(order), most))
        return
    pack: list[int] = []
    room = most
    for item in order:
        if pack and sizes[item] > room:
            yield np.array(pack)
            pack, room = [], most
        pack.append(int(item))
        room -= int(sizes[item])
    if pack:
        yield np.array(pack)
