"""Sorts rows of equal length entry by entry: whole rows are compared at a time, as many machines do at once.

Batcher's odd-even merge sort: O(k log² k) comparisons of rows, the same for all entries.
Source: Batcher (1968); Knuth, The Art of Computer Programming 3, 5.3.4.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = list[NDArray[Any]]


def sort_rows(rows: Rows) -> Rows:
    """The rows, smallest entries first, written over the given ones; NaN is not sorted."""
    spare = np.empty_like(rows[0])
    for low, high in network(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows


@cache
def network(count: int) -> tuple[tuple[int, int], ...]:
    """Pairs of places, low before high, that sort so many values whatever they are."""
    size = 1 << max(count - 1, 0).bit_length()
    # of a whole power of two, with places beyond the end held to be larger than all: those pairs change nothing
    return tuple((low, high) for low, high in _sort(0, size) if high < count)


def _sort(start: int, size: int) -> Iterator[tuple[int, int]]:
    if size > 1:
        half = size // 2
        yield from _sort(start, half)
        yield from _sort(start + half, half)
        yield from _merge(start, size, 1)


def _merge(start: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    if 2 * step < size:
        yield from _merge(start, size, 2 * step)
        yield from _merge(start + step, size, 2 * step)
        yield from ((place, place + step) for place in range(start + step, start + size - step, 2 * step))
    else:
        yield start, start + step
