"""Records of numbers: a column of lists becomes one fp32 vector a record.

[[0, .5, …], …]  or  "[0, .5, …]" in a csv  ──checked──>  bytes of a record  ──>  (rows, inputs) matrix
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gossipfl.errors import DataError

_FLOAT = "<f4"


def read_vectors(table: datasets.Dataset, column: str, *, inputs: int) -> list[bytes]:
    """The vectors of a column, fp32 little-endian.

    Raises:
        DataError: a record holds no list of numbers, not `inputs` of them, or one that is not finite in fp32.
    """
    lists = _lists(table, column)
    if lists.null_count:
        raise DataError(f"record {_first(pc.is_null(lists))} has nothing in column {column!r}")
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(counts != inputs)
    if len(wrong):
        record = int(wrong[0])
        raise DataError(
            f"record {record + 1} has {counts[record]} numbers in column {column!r}, model.inputs is {inputs}"
        )
    matrix = _numbers(lists).reshape(len(lists), inputs)
    strange = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(strange):
        raise DataError(f"record {int(strange[0]) + 1} has a number in column {column!r} that is not finite in float32")
    # -0.0 is 0.0, also for the record's tag
    return [row.tobytes() for row in matrix + np.float32(0)]


def matrix_of(vectors: Sequence[bytes]) -> NDArray[np.float32]:
    """(rows, inputs) of what `read_vectors` gave; (0, 0) of nothing."""
    flat: NDArray[np.float32] = np.frombuffer(b"".join(vectors), _FLOAT).astype(np.float32)
    return flat.reshape(len(vectors), len(flat) // max(1, len(vectors)))


def _lists(table: datasets.Dataset, column: str) -> Any:  # noqa: ANN401  (pyarrow has no types)
    """The column as one array of lists."""
    array = table.select_columns([column]).with_format("arrow")[:].column(column).combine_chunks()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _parsed(array, column)
    kind = array.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not _is_number(kind.value_type):
        raise DataError(f"column {column!r} holds {kind}, lists of numbers were expected")
    return array


def _parsed(texts: Any, column: str) -> Any:  # noqa: ANN401  (pyarrow has no types)
    """Cells of text that hold lists in JSON, as a csv file has them."""
    with suppress(ValueError, pa.ArrowException):
        return pa.array([None if text is None else json.loads(text) for text in texts.to_pylist()])
    raise DataError(f"column {column!r} holds text, lists of numbers like [0, 0.5] were expected")


def _is_number(kind: Any) -> bool:  # noqa: ANN401  (pyarrow has no types)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _numbers(lists: Any) -> NDArray[np.float32]:  # noqa: ANN401  (pyarrow has no types)
    """All numbers, record after record; a null is NaN."""
    flat = lists.flatten()
    if flat.null_count:
        flat = pc.cast(flat, pa.float64())
    with np.errstate(over="ignore"):
        numbers: NDArray[np.float32] = flat.to_numpy(zero_copy_only=False).astype(_FLOAT)
    return numbers


def _first(mask: Any) -> int:  # noqa: ANN401  (pyarrow has no types)
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0]) + 1
