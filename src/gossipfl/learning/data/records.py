"""From a table to records; what is wrong with one is said when it is read."""

import difflib
from collections.abc import Sequence

import datasets

from gossipfl.config.experiment import DataConfig, Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.kinds import KINDS
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.stored_records import store_records

__all__ = ["Record", "records_of", "to_records"]


def records_of(
    table: datasets.Dataset, experiment: Experiment, *, source: str, common: bool = False
) -> Sequence[Record]:
    """What `to_records` gives; with `data.tokens: mapped` they stay on disk until they are asked for.

    Raises:
        DataError: see `to_records`.
    """
    if experiment.data.tokens == "memory":
        return to_records(table, experiment, source=source, common=common)

    def read(piece: datasets.Dataset, first: int) -> list[Record]:
        return to_records(piece, experiment, source=source, common=common, first=first)

    return store_records(_without_blank_lines(table, experiment.data), read)


def to_records(
    table: datasets.Dataset, experiment: Experiment, *, source: str, common: bool = False, first: int = 1
) -> list[Record]:
    """The records of a table, in its order.

    Args:
        source: the table's name in messages.
        common: the table is split over the nodes, so its records need their group.
        first: number of the first record in messages.

    Raises:
        DataError: a column is absent, a value null, a label unknown.
    """
    data = experiment.data
    columns = Columns(_without_blank_lines(table, data), source, first)
    rows = len(columns.rows)
    contents = KINDS[experiment.task.kind].contents(columns, experiment)
    labels = _labels(columns, experiment, rows)
    units: Sequence[str | None] = columns.names(data.unit, "data.unit") if data.unit else [None] * rows
    groups = _groups(columns, experiment) if common else [""] * rows
    periods = experiment.simulation.periods if common else None
    parts = [""] * rows if periods is None else columns.names(periods.column, "simulation.periods.column")
    fields = {"label": labels, **contents, "unit": units, "group": groups, "part": parts}
    return [Record(**dict(zip(fields, values, strict=True))) for values in zip(*fields.values(), strict=True)]


def _labels(columns: Columns, experiment: Experiment, rows: int) -> list[int]:
    if not experiment.task.labels_records:
        return [-1] * rows
    known = {label: index for index, label in enumerate(experiment.task.labels)}
    names = columns.names(experiment.data.label, "data.label")
    for number, name in enumerate(names, columns.first):
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1, 0.0)[0]
            raise DataError(
                f"data.label: record {number} of data {columns.source!r} has the label {name!r}, "
                f"which task.labels does not name; the nearest is {nearest!r}"
            )
    return [known[name] for name in names]


def _groups(columns: Columns, experiment: Experiment) -> list[str]:
    """The value by which a split sorts: `split.column`, else the label."""
    split = experiment.data.split
    if split.kind == "iid":
        return [""] * len(columns.rows)
    if split.column is not None:
        return columns.names(split.column, "data.split.column")
    if not experiment.task.labels_records:
        raise DataError(f"data.split.column: a {split.kind} split of records without labels needs a column to go by")
    return columns.names(experiment.data.label, "data.label")


def _without_blank_lines(table: datasets.Dataset, data: DataConfig) -> datasets.Dataset:
    """A text file's blank lines separate; they are no records."""
    if table.column_names != ["text"] or data.text != "text":
        return table
    kept = [row for row, line in enumerate(table["text"]) if line is None or line.strip()]
    return table if len(kept) == len(table) else table.select(kept, keep_in_memory=True)
