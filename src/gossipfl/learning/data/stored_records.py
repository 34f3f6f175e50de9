"""Records of a table on disk: made when they are asked for, some at a time, so that they need not fit into memory.

table ──read in blocks──> records, one block in memory      cards: of every record what sorts it, 32 bytes and its names
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import datasets
import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.data.record import Record, unit_tag

AT_ONCE = 256
"""Records that are made together."""
Read = Callable[[datasets.Dataset, int], list[Record]]
"""A piece of the table, and the number of its first record in messages, to its records."""


class Known(Protocol):
    """What sorts a record: a `Record`, or the card of one."""

    @property
    def tag(self) -> bytes:
        """See `Record`."""
        ...

    @property
    def unit(self) -> str | None:
        """See `Record`."""
        ...

    @property
    def unit_tag(self) -> bytes | None:
        """See `Record`."""
        ...

    @property
    def group(self) -> str:
        """See `Record`."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What sorts one record."""

    tag: bytes
    unit: str | None
    group: str

    @property
    def unit_tag(self) -> bytes | None:
        """See `Record`."""
        return unit_tag(self.unit)


@dataclass(frozen=True, slots=True)
class _Box:
    """Cards of all records of a table: tags (records, 32) uint8; names, equal ones once, none where nobody has one."""

    tags: NDArray[np.uint8]
    units: Sequence[str | None]
    groups: Sequence[str]

    def card(self, row: int) -> Card:
        unit = self.units[row] if self.units else None
        return Card(self.tags[row].tobytes(), unit, self.groups[row] if self.groups else "")


@dataclass(frozen=True, slots=True)
class _Cards(Sequence[Known]):
    box: _Box
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Known: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Known]: ...
    def __getitem__(self, place: int | slice) -> Known | Sequence[Known]:
        if isinstance(place, slice):
            return _Cards(self.box, self.rows[place])
        return self.box.card(int(self.rows[place]))


class StoredRecords(Sequence[Record]):
    """Some records of a table, in an order of their own; `store_records` makes all of one.

    Args:
        table: without blank lines.
        read: makes records of it.
        box: cards of all its records.
        rows: those that are here.
    """

    def __init__(self, table: datasets.Dataset, read: Read, box: _Box, rows: NDArray[np.int64]) -> None:
        self._table, self._read, self._box, self._rows = table, read, box, rows
        # of the block that was asked for last: where it begins
        self._first, self._block = 0, list[Record]()

    @property
    def cards(self) -> Sequence[Known]:
        """Of each record; no record is read."""
        return _Cards(self._box, self._rows)

    def only(self, places: Sequence[int]) -> "StoredRecords":
        """Some of them."""
        return StoredRecords(self._table, self._read, self._box, self._rows[np.asarray(places, np.int64)])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Record]:
        for first in range(0, len(self), AT_ONCE):
            yield from self._some(first)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> "StoredRecords": ...
    def __getitem__(self, place: int | slice) -> "Record | StoredRecords":
        if isinstance(place, slice):
            return self.only(range(len(self))[place])
        place = range(len(self))[place]
        if not self._first <= place < self._first + len(self._block):
            self._first = place - place % AT_ONCE
            self._block = self._some(self._first)
        return self._block[place - self._first]

    def _some(self, first: int) -> list[Record]:
        rows = self._rows[first : first + AT_ONCE]
        return self._read(self._table.select(rows, keep_in_memory=True), first + 1)


def store_records(table: datasets.Dataset, read: Read) -> StoredRecords:
    """All records of a table, each of which is made once now.

    Raises:
        DataError: see `read`.
    """
    tags, units, groups = np.empty((len(table), 32), np.uint8), list[str | None](), list[str]()
    names: dict[str | None, str | None] = {}
    for first in range(0, len(table), AT_ONCE):
        end = min(first + AT_ONCE, len(table))
        records = read(table.select(range(first, end)), first + 1)
        tags[first:end] = np.frombuffer(b"".join(record.tag for record in records), np.uint8).reshape(-1, 32)
        units += [names.setdefault(record.unit, record.unit) for record in records]
        groups += [names.setdefault(record.group, record.group) or "" for record in records]
    box = _Box(tags, units if any(unit is not None for unit in units) else (), groups if any(groups) else ())
    return StoredRecords(table, read, box, np.arange(len(table)))


def cards_of(records: Sequence[Record]) -> Sequence[Known]:
    """What sorts each record, without reading those on disk."""
    return records.cards if isinstance(records, StoredRecords) else records


def chosen(records: Sequence[Record], places: Sequence[int]) -> Sequence[Record]:
    """Some records, where they are: in memory or on disk."""
    if isinstance(records, StoredRecords):
        return records.only(places)
    return tuple(records[place] for place in places)
