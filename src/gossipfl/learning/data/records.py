"""What a record is: content (text, prompt and response, or numbers), label, unit, group; checked when it is read."""

import difflib
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from gossipfl.config.experiment import DataConfig, Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.vectors import read_vectors


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the task sees it.

    Attributes:
        text: the text, or the response when there is a prompt; empty for numbers.
        prompt: what the response answers; none for plain text.
        label: index into `task.labels`; -1 where the task has none.
        unit: the person behind the record; none when every record is its own unit.
        group: value of the column that decides a split; empty where no split needs one.
        features: the numbers, fp32 little-endian one after the other; empty for text.
        part: value of the column of `simulation.periods`; empty without it.
    """

    text: str
    prompt: str | None = None
    label: int = -1
    unit: str | None = None
    group: str = ""
    features: bytes = b""
    part: str = ""

    @property
    def tag(self) -> bytes:
        """SHA-256 of the content, by which the ledger knows the record again.

        Of the words or numbers alone: a record under another label, task or unit column is still the same record.
        Numbers in another unit or scale are other numbers.
        """
        if self.features:
            return hashlib.sha256(b"features\x1e" + self.features).digest()
        return _tag("\x1f".join((self.prompt or "", self.text)))

    @property
    def unit_tag(self) -> bytes | None:
        """SHA-256 of the unit's name, by which the ledger knows a person again who comes with other records."""
        return None if self.unit is None else _tag(f"unit\x1e{self.unit}")


def _tag(text: str) -> bytes:
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns of one table, with errors that name its source."""

    rows: datasets.Dataset
    source: str

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

    def _check(self, name: str, field: str) -> None:
        if name not in self.rows.column_names:
            raise DataError(f"{field}: data {self.source!r} has no column {name!r}; it has {_listed(self.rows)}")

    def words(self, name: str, field: str) -> list[str]:
        """All values of a column of text; none may be null or blank."""
        values = self.column(name, field)
        for number, value in enumerate(values, 1):
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
            number = values.index(None) + 1
            raise DataError(f"{field}: record {number} of data {self.source!r} has nothing in column {name!r}")
        return [_name(value) for value in values]


def to_records(table: datasets.Dataset, experiment: Experiment, *, source: str, common: bool = False) -> list[Record]:
    """The records of a table, in its order.

    Args:
        source: the table's name in messages.
        common: the table is split over the nodes, so its records need their group.

    Raises:
        DataError: a column is absent, a value null, a label unknown.
    """
    data = experiment.data
    columns = _Table(_without_blank_lines(table, data), source)
    rows = len(columns.rows)
    texts, prompts, features = _contents(columns, experiment)
    labels = _labels(columns, experiment, rows)
    units: Sequence[str | None] = columns.names(data.unit, "data.unit") if data.unit else [None] * rows
    groups = _groups(columns, experiment) if common else [""] * rows
    periods = experiment.simulation.periods if common else None
    parts = [""] * rows if periods is None else columns.names(periods.column, "simulation.periods.column")
    return [Record(*values) for values in zip(texts, prompts, labels, units, groups, features, parts, strict=True)]


def _contents(columns: _Table, experiment: Experiment) -> tuple[Sequence[str], Sequence[str | None], Sequence[bytes]]:
    """Texts, prompts and numbers; those that the task does not read are empty."""
    data, rows = experiment.data, len(columns.rows)
    if experiment.task.kind == "vector-classification":
        return [""] * rows, [None] * rows, columns.vectors(data.features, experiment.model.inputs or 0)
    if data.prompt is not None and data.response is not None and experiment.task.kind == "causal-lm":
        prompts = columns.words(data.prompt, "data.prompt")
        return columns.words(data.response, "data.response"), prompts, [b""] * rows
    return columns.words(data.text, "data.text"), [None] * rows, [b""] * rows


def _labels(columns: _Table, experiment: Experiment, rows: int) -> list[int]:
    if not experiment.task.classifies:
        return [-1] * rows
    known = {label: index for index, label in enumerate(experiment.task.labels)}
    names = columns.names(experiment.data.label, "data.label")
    for number, name in enumerate(names, 1):
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, 0.0)[0]
            raise DataError(
                f"data.label: record {number} of data {columns.source!r} has the label {name!r}, "
                f"which task.labels does not name; the nearest is {nearest!r}"
            )
    return [known[name] for name in names]


def _groups(columns: _Table, experiment: Experiment) -> list[str]:
    """The value by which a split sorts: `split.column`, else the label."""
    split = experiment.data.split
    if split.kind == "iid":
        return [""] * len(columns.rows)
    if split.column is not None:
        return columns.names(split.column, "data.split.column")
    if not experiment.task.classifies:
        raise DataError(f"data.split.column: a {split.kind} split of records without labels needs a column to go by")
    return columns.names(experiment.data.label, "data.label")


def _without_blank_lines(table: datasets.Dataset, data: DataConfig) -> datasets.Dataset:
    """A text file's blank lines separate; they are no records."""
    if table.column_names != ["text"] or data.text != "text":
        return table
    kept = [row for row, line in enumerate(table["text"]) if line is None or line.strip()]
    return table if len(kept) == len(table) else table.select(kept)


def _name(value: object) -> str:
    """A value as a name: 3 and 3.0 are `3`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _listed(table: datasets.Dataset) -> str:
    return ", ".join(repr(name) for name in table.column_names[:20])
