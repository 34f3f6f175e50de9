"""The cache folder: converted models and known hashes; everything in it can be deleted at any time."""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def cache_folder() -> Path:
    """`$GOSSIPFL_CACHE`, else `~/.cache/gossipfl`; it may not exist yet."""
    return Path(os.environ.get("GOSSIPFL_CACHE") or Path.home() / ".cache" / "gossipfl")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file that one process on this machine has at a time; waits for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content as hex; known again by path, size and time of change: a large file costs once."""
    entry = cache_folder() / "sha256" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"
    status = path.stat()
    key = [str(path.resolve()), status.st_size, status.st_mtime_ns]
    # ValueError: a damaged entry is as good as none
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(entry.read_text())
        if isinstance(known, dict) and known.get("file") == key:
            return str(known["sha256"])
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    # a cache that cannot be written costs time, nothing else
    with contextlib.suppress(OSError):
        write_atomically(entry, json.dumps({"file": key, "sha256": found}).encode())
    return found


def files_sha256(paths: Sequence[Path]) -> str:
    """One file: its SHA-256; several: the SHA-256 over their names and hashes, in order of name."""
    if len(paths) == 1:
        return file_sha256(paths[0])
    rows = [f"{file_sha256(path)}  {path.name}\n" for path in sorted(paths)]
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file by a rename: a reader sees the old content or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
