"""An image a record: a column of images, or of as many shades as make a square."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.columns import Columns
from gossipfl.learning.data.content import labels_of
from gossipfl.learning.data.image_rows import ImageRows
from gossipfl.learning.data.images import drawn, pixels_sha256
from gossipfl.learning.data.kinds.seam import DataKind, Reading
from gossipfl.learning.data.record import Record


def _images(columns: Columns, experiment: Experiment) -> Mapping[str, Sequence[Any]]:
    data, names = experiment.data, columns.rows.column_names
    if data.image not in names and data.features in names:
        encoded = _squares(columns, data.features)
    else:
        encoded = columns.images(data.image)
    hashes = _each(pixels_sha256, encoded, columns, f"data.image: column {data.image!r}")
    return {"text": [""] * len(encoded), "image": encoded, "pixels_sha256": hashes}


def _squares(columns: Columns, name: str) -> list[bytes]:
    """The images of a column of shades."""
    inputs = len(columns.column(name, "data.features")[0] or ())
    side = math.isqrt(inputs)
    if not side or side * side != inputs:
        raise DataError(
            f"data.features: data {columns.source!r} has {inputs} numbers a record in column {name!r}, which make no "
            "square image"
        )
    shades = [np.frombuffer(vector, "<f4").reshape(side, side) for vector in columns.vectors(name, inputs)]
    return _each(drawn, shades, columns, f"data.features: column {name!r}")


def _each(make: Callable[[Any], bytes], values: Sequence[Any], columns: Columns, what: str) -> list[bytes]:
    """What is made of every value; an error names the record."""
    made = []
    for number, value in enumerate(values, 1):
        try:
            made.append(make(value))
        except DataError as error:
            raise DataError(f"{what}: record {number} of data {columns.source!r}: {error}") from error
    return made


def _rows(records: Sequence[Record], reading: Reading) -> ImageRows:
    if reading.images is None:
        raise DataError(f"task.kind {reading.task.kind} reads images, and the model has no image processor")
    return ImageRows(tuple(record.image for record in records), labels_of(records), reading.images)


PICTURES = DataKind(_images, _rows)
