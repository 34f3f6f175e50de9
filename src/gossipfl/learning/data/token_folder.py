"""Folders of `data.tokens: mapped`: where tokens are kept, and where what must not stay lies for a moment."""

import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gossipfl.config.data import DataConfig
from gossipfl.errors import DataError
from gossipfl.learning.data.sources import Scratch

_PART = ".part-"
_TORN = re.compile(r"\.part-\w+")
_KEPT = re.compile(r"[a-z_]+\d*-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where tokens are kept.

    Attributes:
        folder: private to its owner; None: files that nobody else can open, gone with this process.
        use: train, held_out, …; of tokens of a use the last ones are kept.
    """

    folder: Path | None
    use: str


def place_for(data: DataConfig, folder: Path | None, use: str) -> TokenPlace | None:
    """Where the experiment keeps tokens; None: in memory."""
    return None if data.tokens == "memory" else TokenPlace(folder, use)


def scratch_for(data: DataConfig, folder: Path | None) -> Scratch | None:
    """What the experiment reads tables with, see `read_table`.

    Args:
        folder: that tokens are kept in; None: what is read lies in a private temporary folder.
    """
    if data.tokens == "memory":
        return None
    return partial(tempfile.TemporaryDirectory, prefix="gossipfl-") if folder is None else partial(part_folder, folder)


def prepare_folder(folder: Path, *, kept: bool, own: str | None = None, tests: bool = True) -> None:
    """At the start of the one process that uses the folder: what nobody needs is removed, and nothing else in it.

    Args:
        kept: the experiment keeps tokens; else nothing of them stays.
        own: the only node whose tokens lie there; None: all nodes' stay.
        tests: there is a common test set.

    Raises:
        DataError: it cannot be made, or something cannot be removed.
    """
    try:
        if kept:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        for ours in [*folder.glob("*"), *folder.glob("nodes/*/*")]:
            others = own is not None and ours.parent.parent.name == "nodes" and ours.parent.name != own
            needed = kept and not others and (tests or ours.parent != folder)
            if _TORN.fullmatch(ours.name) or (not needed and _KEPT.fullmatch(ours.name)):
                shutil.rmtree(ours)
        for empty in () if kept else (*folder.glob("nodes/*"), folder / "nodes", folder):
            # somebody else's things may lie there
            with suppress(OSError):
                empty.rmdir()
    except OSError as error:
        raise DataError(f"data.tokens: {folder}: {error.strerror}") from error


def kept_folder(folder: Path, use: str, key: str) -> Path:
    """Where tokens of this key lie."""
    return folder / f"{use}-{key}"


def forget_others(place: TokenPlace, but: Path | None) -> None:
    """Removes what was kept for this use before; what is mapped stays readable."""
    for old in place.folder.glob(f"{place.use}-*") if place.folder is not None else ():
        if old != but and _KEPT.fullmatch(old.name):
            shutil.rmtree(old)


def part_folder(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """A folder in it for what must not stay."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=_PART, dir=folder)
