"""`data.tokens: mapped`: tokens in files of a folder, made once, found again as long as they would be the same.

FOLDER/test-KEY/*.arrow                of the common test set
FOLDER/nodes/NODE/train-KEY/*.arrow    of a node, by use           KEY: SHA-256 of all that decides the tokens
FOLDER/**/.part-*                      written to: never looked at, and removed at the next start
"""

import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gossipfl.durable import fsync_folder
from gossipfl.errors import DataError
from gossipfl.learning.data.blocks import blocks, flat_rows
from gossipfl.learning.data.content import Content, Flat
from gossipfl.learning.data.kinds import DataKind, Reading
from gossipfl.learning.data.mapped import ArrayFiles, map_arrays
from gossipfl.learning.data.record import Record
from gossipfl.learning.data.token_folder import TokenPlace, forget_others, kept_folder, part_folder
from gossipfl.learning.data.token_key import token_key

logger = logging.getLogger(__name__)

_SIZES = "sizes.json"


def mapped_rows(kind: DataKind, records: Sequence[Record], reading: Reading, place: TokenPlace) -> Content:
    """What `kind.rows` makes of the records, with its tokens in files.

    Guarantees:
        What is handed out is bit for bit what `kind.rows` hands out. Files are taken only if they are whole and
        everything that decides the tokens is the same.

    Raises:
        DataError: a record comes to no token, or the files cannot be written.
    """
    if kind.flat is None:
        raise DataError(f"data.tokens mapped: task.kind {reading.task.kind} has no tokens to keep; leave it at memory")
    try:
        if place.folder is None:
            with tempfile.TemporaryDirectory(prefix="gossipfl-") as folder:
                return _made(kind.flat, kind, records, reading, Path(folder))
        return _kept(kind.flat, kind, records, reading, place, place.folder)
    except OSError as error:
        where = place.folder or f"{tempfile.gettempdir()} (TMPDIR)"
        raise DataError(f"data.tokens mapped: tokens cannot be kept in {where}: {error}") from error


def _kept(
    flat: type[Flat], kind: DataKind, records: Sequence[Record], reading: Reading, place: TokenPlace, folder: Path
) -> Content:
    key = token_key(records, reading)
    target = kept_folder(folder, place.use, key or secrets.token_hex(32))
    if key is not None and (found := _found(flat, target, reading)) is not None:
        forget_others(place, target)
        return found
    with part_folder(folder) as part:
        inner = Path(part) / "tokens"
        inner.mkdir(mode=0o700)
        made = _made(flat, kind, records, reading, inner)
        _write_sizes(inner)
        forget_others(place, None)
        inner.rename(target)
    fsync_folder(folder)
    return made


def _made(flat: type[Flat], kind: DataKind, records: Sequence[Record], reading: Reading, folder: Path) -> Content:
    """Tokenizes block by block; an empty one first says which arrays there are."""
    with ArrayFiles(folder) as files:
        for block in blocks(records) if len(records) else [[]]:
            files.append(flat_rows(flat, kind, block, reading).parts())
    return flat.of_parts(map_arrays(folder), reading.pad)


def _found(flat: type[Flat], target: Path, reading: Reading) -> Content | None:
    """What an earlier start kept, if it is whole; else it is removed."""
    if not target.is_dir():
        return None
    try:
        sizes = json.loads((target / _SIZES).read_text())
        if sizes == _sizes(target):
            return flat.of_parts(map_arrays(target), reading.pad)
    except (OSError, ValueError, KeyError) as error:
        logger.warning("%s cannot be read, its records are tokenized anew: %s", target, error)
    else:
        logger.warning("%s is not as it was written: its records are tokenized anew", target)
    shutil.rmtree(target)
    return None


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.arrow"))}


def _write_sizes(folder: Path) -> None:
    descriptor = os.open(folder / _SIZES, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(_sizes(folder), file)
        file.flush()
        os.fsync(file.fileno())
    fsync_folder(folder)
