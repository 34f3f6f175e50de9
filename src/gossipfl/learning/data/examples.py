"""Tokenized examples, handed out as micro-batches of whole units, padded to the longest row in each.

unit        0       1   2         3
row       [0 1 2] [3] [4 5] [6 7 8 9]       unit_starts = 0 3 4 6 10
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import TaskConfig
from gossipfl.errors import DataError
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.tokens import Tokens, tokenize
from gossipfl.privacy.rows import Rows

IGNORED = -100
"""Label of a token that does not count in the loss, as in transformers."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of tokens, grouped by privacy unit.

    Attributes:
        tokens: of all rows, the rows of a unit next to each other.
        unit_starts: (units + 1,) int64, where the rows of each unit begin.
        labels: (rows,) int64 class of each row; None for `causal-lm`.
        pad: id that fills short rows.
        device: where the micro-batches are put.
    """

    tokens: Tokens
    unit_starts: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    pad: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def units(self) -> int:
        """Number of privacy units."""
        return len(self.unit_starts) - 1

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.tokens.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(rows,) tokens of each row."""
        return np.diff(self.tokens.starts)

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
        longest = [int(self._longest(first, end)) for first, end in zip(firsts, ends, strict=True)]
        shortest_first = np.argsort(longest, kind="stable")
        for pack in _packs(ends - firsts, shortest_first, micro_batch):
            rows = np.concatenate([np.arange(firsts[item], ends[item]) for item in pack])
            yield self._padded(rows, np.repeat(np.arange(len(pack)), (ends - firsts)[pack]))

    def rows_in_order(self, micro_batch: int) -> Iterator[Rows]:
        """All rows in their order, for evaluation; here each row is a unit of its own."""
        for first in range(0, self.rows, micro_batch):
            rows = np.arange(first, min(first + micro_batch, self.rows))
            yield self._padded(rows, np.arange(len(rows)))

    def _longest(self, first: int, end: int) -> int:
        starts = self.tokens.starts
        return int(starts[end] - starts[first]) if end - first == 1 else int(np.diff(starts[first : end + 1]).max())

    def _padded(self, rows: NDArray[np.int64], unit: NDArray[np.int64]) -> Rows:
        starts, ends = self.tokens.starts[rows, None], self.tokens.starts[rows + 1, None]
        offsets = np.arange(int((ends - starts).max()))[None, :]
        places = starts + offsets
        there = places < ends
        ids = np.where(there, self.tokens.ids[np.minimum(places, ends - 1)], self.pad).astype(np.int64)
        if self.labels is None:
            labels = np.where(there & (offsets >= self.tokens.loss_from[rows, None]), ids, IGNORED)
        else:
            labels = self.labels[rows]
        arrays = {"input_ids": ids, "attention_mask": there.astype(np.int64), "labels": labels}
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        return Rows(tensors, torch.from_numpy(unit).to(self.device))


def make_examples(
    records: Sequence[Record], units: Sequence[Sequence[int]], *, tokenizer: PreTrainedTokenizerBase, task: TaskConfig
) -> Examples:
    """Examples of these units' records.

    Args:
        units: positions of each unit's records.

    Raises:
        DataError: a record comes to no token at all.
    """
    chosen = [records[row] for unit in units for row in unit]
    tokens = tokenize(chosen, tokenizer, task)
    if chosen and int(np.diff(tokens.starts).min()) == 0:
        row = int(np.diff(tokens.starts).argmin())
        raise DataError(f"the tokenizer makes no token of a text of {len(chosen[row].text)} characters")
    return Examples(
        tokens=tokens,
        unit_starts=np.cumsum([0, *map(len, units)], dtype=np.int64),
        labels=np.array([r.label for r in chosen], np.int64) if task.kind == "sequence-classification" else None,
        pad=tokenizer.pad_token_id or 0,
    )


def _packs(sizes: NDArray[np.int64], order: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Cuts `order` into runs whose sizes sum to `most` or less; what is larger by itself comes alone."""
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
