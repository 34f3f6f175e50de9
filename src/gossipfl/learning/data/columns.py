"""A table's columns, checked when they are read: what is absent, null, blank or of another type is named."""

from dataclasses import dataclass
from typing import Any

import datasets

from gossipfl.errors import DataError
from gossipfl.learning.data.vectors import read_vectors


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of one table, or of a piece of it, with errors that name its source.

    Attributes:
        first: number of the first record in messages.
    """

    rows: datasets.Dataset
    source: str
    first: int = 1

    def column(self, name: str, field: str) -> list[Any]:
        """All values of a column."""
        self._check(name, field)
        # all at once: row by row the library takes ten times as long
        values = list(self.rows[name][:])
        feature = self.rows.features[name]
        if isinstance(feature, datasets.ClassLabel):
            return [None if value is None or value < 0 else feature.int2str(value) for value in values]
        return values

    def vectors(self, name: str, inputs: int) -> list[bytes]:
        """All values of a column of lists of `inputs` numbers, see `Record.features`."""
        self._check(name, "data.features")
        try:
            return read_vectors(self.rows, name, inputs=inputs)
        except DataError as error:
            raise DataError(f"data.features: data {self.source!r}: {error}") from error

    def images(self, name: str) -> list[bytes]:
        """All values of a column of images, encoded; files that a table only names are not read."""
        self._check(name, "data.image")
        rows = self.rows
        if isinstance(rows.features[name], datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))
        values: list[Any] = [value.get("bytes") if isinstance(value, dict) else value for value in rows[name][:]]
        for number, value in enumerate(values, self.first):
            if not value or not isinstance(value, bytes):
                raise DataError(
                    f"data.image: record {number} of data {self.source!r} has no encoded image in column {name!r}"
                )
        return values

    def _check(self, name: str, field: str) -> None:
        if name not in self.rows.column_names:
            raise DataError(f"{field}: data {self.source!r} has no column {name!r}; it has {_listed(self.rows)}")

    def words(self, name: str, field: str) -> list[str]:
        """All values of a column of text; none may be null or blank."""
        values = self.column(name, field)
        for number, value in enumerate(values, self.first):
            if value is None or (isinstance(value, str) and not value.strip()):
                raise DataError(f"{field}: record {number} of data {self.source!r} has nothing in column {name!r}")
            if not isinstance(value, str):
                kind = type(value).__name__
                raise DataError(f"{field}: column {name!r} of data {self.source!r} holds {kind}, text was expected")
        return values

    def names(self, name: str, field: str) -> list[str]:
        """All values of a column of names: text, or numbers written out; none may be null."""
        values = self.column(name, field)
        if None in values:
            number = values.index(None) + self.first
            raise DataError(f"{field}: record {number} of data {self.source!r} has nothing in column {name!r}")
        return [_name(value) for value in values]


def _name(value: object) -> str:
    """A value as a name: 3 and 3.0 are `3`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _listed(table: datasets.Dataset) -> str:
    return ", ".join(repr(name) for name in table.column_names[:20])
