"""A file that after a crash is the old one or the new one, and that knows when it is damaged."""

import os
from pathlib import Path

from blake3 import blake3

from gossipfl.errors import StateError

_DIGEST_BYTES = 32


def write_frozen(path: Path, data: bytes) -> None:
    """Writes with a digest; after a crash there is the old file or the new one."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(blake3(data).digest())
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_frozen(path: Path) -> bytes:
    """What `write_frozen` wrote.

    Raises:
        StateError: the file is damaged or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if blake3(data).digest() != digest:
        raise StateError(f"{path} is damaged; begin the run anew in another folder")
    return data
