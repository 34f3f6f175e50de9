"""The file a run goes on from: written beside its place and renamed, read only if it is whole.

    BLAKE3 of the rest, 32 bytes | the rest, as it was written

What is written goes to disk as it comes: a checkpoint as large as the run's memory takes none of its own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import PickleBuffer
from typing import BinaryIO, Protocol

from blake3 import blake3

from gossipfl.errors import StateError

_DIGEST_BYTES = blake3.digest_size
_BLOCK = 1 << 20


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes | PickleBuffer, /) -> object:
        """Takes some."""
        ...


class _Hashed:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = blake3()

    def write(self, data: bytes | PickleBuffer, /) -> int:
        # a pickler hands large arrays over as they are, whatever their type and shape
        raw = PickleBuffer(data).raw()
        self.digest.update(raw)
        return self._file.write(raw)


@contextmanager
def writing_frozen(path: Path) -> Iterator[Sink]:
    """Where to write; after a crash, or an error on the way, there is the old file, else the new one."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(bytes(_DIGEST_BYTES))
        sink = _Hashed(file)
        yield sink
        file.seek(0)
        file.write(sink.digest.digest())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def reading_frozen(path: Path) -> Iterator[BinaryIO]:
    """What was written, from its beginning.

    Raises:
        StateError: the file is damaged or cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    with file:
        wanted, digest = file.read(_DIGEST_BYTES), blake3()
        while block := file.read(_BLOCK):
            digest.update(block)
        if digest.digest() != wanted:
            raise StateError(f"{path} is damaged; begin the run anew in another folder")
        file.seek(_DIGEST_BYTES)
        yield file
