"""Rows of numbers kept in files, found again by their key; several processes may use one.

FOLDER/WIDTH.keys   16 bytes a row        FOLDER/WIDTH.rows   WIDTH fp32 a row, written before its key
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossipfl.learning.cache import locked

KEY_BYTES = 16
Rows = NDArray[np.float32]


class KeptRows:
    """Rows of one width.

    Args:
        folder: made when the first row is kept.
        width: numbers of a row.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        self._width = width
        self._places: dict[bytes, int] = {}
        self._rows: Rows = np.empty((0, width), np.float32)

    def find(self, keys: Sequence[bytes]) -> list[int | None]:
        """Place of each row; None of those nobody has kept."""
        if any(key not in self._places for key in keys):
            self._read()
        return [self._places.get(key) for key in keys]

    def take(self, places: Sequence[int]) -> Rows:
        """Copies of the rows at these places, (rows, width)."""
        return self._rows[list(places)]

    def keep(self, keys: Sequence[bytes], rows: Rows) -> None:
        """Adds rows; of one that is there already another is harmless."""
        with locked(self._folder / f"{self._width}.lock"):
            count = self._count()
            # what a process that was killed left behind its last key
            with self._file("rows").open("ab") as file:
                file.truncate(4 * count * self._width)
                file.write(np.ascontiguousarray(rows, "<f4").tobytes())
            with self._file("keys").open("ab") as file:
                file.truncate(KEY_BYTES * count)
                file.write(b"".join(keys))

    def _read(self) -> None:
        """Takes in what was kept since the last time."""
        count, known = self._count(), len(self._rows)
        if count <= known:
            return
        with self._file("keys").open("rb") as file:
            file.seek(KEY_BYTES * known)
            added = file.read(KEY_BYTES * (count - known))
        keys = (added[start : start + KEY_BYTES] for start in range(0, len(added), KEY_BYTES))
        self._places.update({key: known + number for number, key in enumerate(keys)})
        self._rows = np.memmap(self._file("rows"), "<f4", "r", shape=(count, self._width))

    def _count(self) -> int:
        """Whole keys in the file."""
        try:
            return self._file("keys").stat().st_size // KEY_BYTES
        except FileNotFoundError:
            return 0

    def _file(self, ending: str) -> Path:
        return self._folder / f"{self._width}.{ending}"
