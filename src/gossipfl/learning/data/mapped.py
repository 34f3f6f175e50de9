"""Arrays in Arrow files that `datasets` writes and maps: they take memory when they are looked at.

block 0, 1, … ── joined until LEAST_VALUES ──> chunk 0 | chunk 1 | …      a file an array, of one column
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

LEAST_VALUES = 2**20
"""Of a chunk but the last: in few chunks a value is found quickly, and so many are held while they are written."""
_COLUMN = "value"


class Values(Protocol):
    """What an array in memory and one in a file have in common."""

    def __len__(self) -> int:
        """Number of values."""
        ...

    def __getitem__(self, places: NDArray[np.int64], /) -> NDArray[Any]:
        """The values at some places, in their shape."""
        ...


@dataclass(frozen=True, slots=True)
class MappedArray:
    """Values in chunks, none of which is empty.

    Attributes:
        chunks: read-only views of the file.
        ends: (chunks,) where each ends.
    """

    chunks: Sequence[NDArray[Any]]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        """See `Values`."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, places: NDArray[np.int64], /) -> NDArray[Any]:
        """See `Values`; a copy."""
        if len(self.chunks) == 1:
            return np.asarray(self.chunks[0][places])
        which = np.searchsorted(self.ends, places, side="right")
        found = np.empty(places.shape, self.chunks[0].dtype)
        for chunk in np.unique(which):
            here = which == chunk
            begins = self.ends[chunk] - len(self.chunks[chunk])
            found[here] = self.chunks[chunk][places[here] - begins]
        return found

    def whole(self) -> NDArray[Any]:
        """All values, copied into memory."""
        return np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int64)


Parts = Mapping[str, MappedArray]
"""Arrays by name."""


class ArrayFiles:
    """Writes arrays block by block, each to a file of its own in a folder; made with the first block.

    Args:
        folder: private to this process.

    Guarantees:
        The files are readable by their owner only, and durable once it is closed without an error.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _ArrayFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close(whole=kind is None)

    def append(self, parts: Mapping[str, NDArray[Any]]) -> None:
        """Adds a block; every block has arrays of the same names and types."""
        for name, values in parts.items():
            if name not in self._files:
                self._files[name] = _ArrayFile(self._folder / f"{name}.arrow", values.dtype)
            self._files[name].append(values)


class _ArrayFile:
    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        # heavy, and only for those who map
        import pyarrow as pa  # noqa: PLC0415
        from datasets.arrow_writer import ArrowWriter  # noqa: PLC0415

        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._stream: BinaryIO = os.fdopen(descriptor, "wb")
        self._writer = ArrowWriter(schema=pa.schema({_COLUMN: pa.from_numpy_dtype(dtype)}), stream=self._stream)
        self._waiting: list[NDArray[Any]] = []

    def append(self, values: NDArray[Any]) -> None:
        self._waiting.append(values)
        if sum(map(len, self._waiting)) >= LEAST_VALUES:
            self._write()

    def close(self, *, whole: bool) -> None:
        with self._stream:
            if whole:
                self._write()
                self._writer.finalize(close_stream=False)
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def _write(self) -> None:
        import pyarrow as pa  # noqa: PLC0415  # as above

        values = np.concatenate(self._waiting) if self._waiting else np.zeros(0)
        self._waiting = []
        if len(values):
            table = pa.table({_COLUMN: values})
            self._writer.write_table(table, writer_batch_size=len(values))


def map_arrays(folder: Path) -> dict[str, MappedArray]:
    """The arrays of a folder that `ArrayFiles` wrote; its files may be removed meanwhile.

    Raises:
        OSError, ValueError: one is no such file.
    """
    return {path.stem: _mapped(path) for path in sorted(folder.glob("*.arrow"))}


def _mapped(path: Path) -> MappedArray:
    import datasets  # noqa: PLC0415  # as above

    column = datasets.Dataset.from_file(str(path)).data.column(_COLUMN)
    chunks = [chunk.to_numpy(zero_copy_only=True) for chunk in column.chunks if len(chunk)]
    return MappedArray(chunks, np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64))
