"""Which files of a watched folder a node has taken in, and when: `data.json` in its state directory.

    periods     files that came at a time, oldest first; what they hold is read again at every start
    set aside   files that could not be used, and why; one that has changed since is tried again

Written after the ledger knows the records and before the first step on them: a node killed in between finds the files
again as if they had just come, and has spent nothing on them. It names files and holds no record.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gossipfl.errors import StateError
from gossipfl.learning.data.folder import DataFile
from gossipfl.node.checkpoint import write_durably
from gossipfl.node.places import DATA_JOURNAL

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Period:
    """Files that came at a time.

    Attributes:
        step: optimizer steps the node had done.
    """

    step: int
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that could not be used.

    Attributes:
        file: as it was.
        reason: in one line.
    """

    file: DataFile
    reason: str


@dataclass(frozen=True, slots=True)
class Journal:
    """All of a node's periods, and what it has set aside."""

    periods: tuple[Period, ...] = ()
    set_aside: tuple[SetAside, ...] = ()

    @property
    def taken(self) -> frozenset[str]:
        """Names of the files taken in."""
        return frozenset(file.name for period in self.periods for file in period.files)

    def refuses(self, file: DataFile) -> bool:
        """Whether it was set aside, and is what it was."""
        return any(each.file == file for each in self.set_aside)

    def with_aside(self, file: DataFile, reason: str) -> "Journal":
        """The same, with one more file set aside; once, however often it is tried."""
        others = tuple(each for each in self.set_aside if each.file.name != file.name)
        return replace(self, set_aside=(*others, SetAside(file, " ".join(reason.split()))))

    def with_aside_of(self, there: Collection[str]) -> "Journal":
        """The same, with those files set aside that are still there; itself where all are."""
        left = tuple(each for each in self.set_aside if each.file.name in there)
        return self if left == self.set_aside else replace(self, set_aside=left)

    def with_period(self, period: Period) -> "Journal":
        """The same, with files taken in; those of them that were set aside no longer are."""
        names = {file.name for file in period.files}
        left = tuple(each for each in self.set_aside if each.file.name not in names)
        return Journal((*self.periods, period), left)


def read_journal(directory: Path) -> Journal:
    """The node's; an empty one where it has taken nothing in yet.

    Args:
        directory: its state directory.

    Raises:
        StateError: it cannot be read, or comes from a newer version.
    """
    path = directory / DATA_JOURNAL
    if not path.exists():
        return Journal()
    try:
        about = json.loads(path.read_bytes())
        if about["schema"] > SCHEMA_VERSION:
            raise StateError(f"{path} was written by a newer gossipfl (schema {about['schema']}): update this node")
        periods = tuple(Period(int(each["step"]), tuple(map(_file, each["files"]))) for each in about["periods"])
        aside = tuple(SetAside(_file(each["file"]), str(each["reason"])) for each in about["set_aside"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{path} cannot be read, or is damaged ({error}): move it away, and all files count as of one period"
        ) from error
    return Journal(periods, aside)


def write_journal(directory: Path, journal: Journal) -> None:
    """Durable on return.

    Raises:
        StateError: it could not be written; what was there is untouched.
    """
    content = {"schema": SCHEMA_VERSION, **asdict(journal)}
    write_durably(directory / DATA_JOURNAL, json.dumps(content, indent=1).encode())


def _file(about: dict[str, Any]) -> DataFile:
    return DataFile(str(about["name"]), int(about["size_bytes"]), int(about["changed_ns"]))
