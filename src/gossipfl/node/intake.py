"""`data.watch`: new files of a node's folder, taken in between two phases.

    folder ── settled, not known ──> read ──┬─ records ─> ledger knows them ─> journal ─> trained on, from this phase on
                                            └─ set aside, named in log and metrics of this node; it goes on

Everything here runs on the training thread, but for `wake`. Nobody else is told of files, their number or their faults.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, DataError, LedgerError, PrivacyError
from gossipfl.learning.bench import Bench
from gossipfl.learning.books import reopen_books
from gossipfl.learning.data import DataSite, sort_out
from gossipfl.learning.data.folder import DataFile, UnsettledFileError, data_files, read_file
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.sources import ENDINGS
from gossipfl.learning.growing import take_in
from gossipfl.node.periods import Journal, Period, read_journal, write_journal
from gossipfl.node.watching import Watcher

logger = logging.getLogger(__name__)
SETTLED_S = 2.0
"""A file is taken when nothing has been written to it for so long; what is renamed into place mostly is older."""


@dataclass(slots=True)
class Folder:
    """A node's folder of data, as far as it has been read.

    Attributes:
        directory: the node's state directory.
        keeps: writes its journal there; else only looks.
        periods: the records that came at a time.
    """

    experiment: Experiment
    path: Path
    directory: Path
    journal: Journal
    keeps: bool = True
    periods: list[tuple[Record, ...]] = field(default_factory=list)

    def note(self, journal: Journal) -> None:
        """Makes it durable, where anything is."""
        if self.keeps:
            write_journal(self.directory, journal)
        self.journal = journal

    def readable(self, files: Sequence[DataFile]) -> list[tuple[DataFile, tuple[Record, ...]]]:
        """Their records; what cannot be used is set aside, what is still written to is left for another time."""
        found = []
        for file in files:
            try:
                found.append((file, read_file(self.experiment, self.path, file)))
            except UnsettledFileError as error:
                logger.info("%s: not taken in yet", error)
            except DataError as error:
                self.set_aside(file, error)
        return found

    def set_aside(self, file: DataFile, error: Exception) -> None:
        """Names a file that cannot be used, and goes on."""
        logger.warning("%s is set aside: %s", file.name, error)
        self.note(self.journal.with_aside(file, str(error)))


def open_folder(experiment: Experiment, source: str, base: Path, directory: Path, *, keeps: bool = True) -> Folder:
    """A node's folder with the periods of earlier lives; in the first life all that is there is the first period.

    Args:
        source: the folder, as peers.yaml names it; a relative path counts from `base`.
        directory: the node's state directory.
        keeps: writes the journal there; else only looks.

    Raises:
        DataError: no file can be used.
        StateError: the journal cannot be read or written.
    """
    folder = Folder(experiment, base / Path(source).expanduser(), directory, read_journal(directory), keeps)
    if not folder.journal.periods:
        return _first(folder)
    there = {file.name: file for file in data_files(folder.path)}
    for period in folder.journal.periods:
        files = [there[file.name] for file in period.files if file.name in there]
        gone = sorted({file.name for file in period.files} - {*there})
        if gone:
            logger.warning(
                "%s: taken in before and gone since; their records are no longer trained on", ", ".join(gone)
            )
        records = [record for _, some in folder.readable(files) for record in some]
        folder.periods.append(tuple(records))
    if not any(folder.periods):
        raise DataError(
            f"data.watch: no file that was taken in from {folder.path} is there any more: put one back, or begin "
            "anew in another --state-dir; the ledger, beside the data, still knows what was paid"
        )
    return folder


def _first(folder: Folder) -> Folder:
    """All that can be used, whenever it was written: there is nothing else to begin with."""
    files = data_files(folder.path)
    found = folder.readable(files)
    if not found:
        why = "; ".join(each.reason for each in folder.journal.set_aside) or f"no file ends with {', '.join(ENDINGS)}"
        raise DataError(f"data.watch: nothing in {folder.path} can be trained on: {why}")
    folder.periods.append(tuple(record for _, records in found for record in records))
    folder.note(folder.journal.with_period(Period(0, tuple(file for file, _ in found))))
    return folder


class Intake:
    """Takes new files in; `look` before every phase.

    Args:
        bench: of the node, made with the folder's records.
    """

    def __init__(self, folder: Folder, bench: Bench) -> None:
        self._folder = folder
        self._bench = bench
        # what came while the node was down is found at the first look
        self._changed = threading.Event()
        self._changed.set()
        self._always = False
        self._away = False
        self._warned: set[str] = set()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def periods(self) -> int:
        """How many there are."""
        return len(self._folder.periods)

    @property
    def journal(self) -> Journal:
        """What was taken in and set aside so far."""
        return self._folder.journal

    def wake(self) -> None:
        """Something has changed in the folder: the next look is at its files. From any thread."""
        self._changed.set()

    def look_always(self) -> None:
        """Nobody wakes it any more: it looks before every phase. From any thread."""
        self._always = True

    def look(self, step: int) -> bool:
        """Takes in what has come and can be used; whether there was something. Between two phases only.

        Args:
            step: optimizer steps the node has done.

        Raises:
            LedgerError, StateError: it could not be made durable; nothing may be trained.
        """
        if not (self._always or self._changed.is_set()):
            return False
        self._changed.clear()
        new = self._new()
        if not new:
            return False
        # together: what comes at a time is one period; one by one where something is wrong with one of them
        if self._take(new, step):
            return True
        alone = [self._take([one], step) for one in new if len(new) > 1]
        return any(alone)

    def _new(self) -> list[tuple[DataFile, tuple[Record, ...]]]:
        files, now_ns = self._files(), time.time_ns()
        self._say_changed(files)
        if not self._away:
            self._forget_gone(files)
        journal = self._folder.journal
        waiting = [file for file in files if file.name not in journal.taken and not journal.refuses(file)]
        settled = [file for file in waiting if is_settled(file, now_ns)]
        found = self._folder.readable(settled)
        read = {file for file, _ in found}
        if any(file not in read and not self._folder.journal.refuses(file) for file in waiting):
            # still written to: nothing may tell when that is over
            self._changed.set()
        return found

    def _files(self) -> list[DataFile]:
        """What is in the folder; nothing while it is away, as a disk of the network may be for a while."""
        try:
            files = data_files(self._folder.path)
        except DataError as error:
            # its return may wake nobody
            self._changed.set()
            if not self._away:
                logger.warning("%s: what was taken in before is trained on", error)
            self._away = True
            return []
        self._away = False
        return files

    def _take(self, new: Sequence[tuple[DataFile, tuple[Record, ...]]], step: int) -> bool:
        folder, place = self._folder, self._bench.place
        periods = [*folder.periods, tuple(record for _, records in new for record in records)]
        reopen = partial(reopen_books, folder.experiment, place.site, place.terms, account=self._bench.account)
        try:
            take_in(self._bench, sort_out(folder.experiment, place.site.node, periods), reopen)
        except (LedgerError, ConfigError):
            raise
        except (DataError, PrivacyError) as error:
            if len(new) == 1:
                folder.set_aside(new[0][0], error)
            return False
        folder.periods = periods
        folder.note(folder.journal.with_period(Period(step, tuple(file for file, _ in new))))
        names, records = ", ".join(file.name for file, _ in new), len(periods[-1])
        logger.info("%s: taken in, %d records, period %d", names, records, len(periods) - 1)
        return True

    def _forget_gone(self, files: Sequence[DataFile]) -> None:
        """Files that were set aside and are gone have nothing to be named for."""
        left = self._folder.journal.with_aside_of({file.name for file in files})
        if left is not self._folder.journal:
            self._folder.note(left)

    def _say_changed(self, files: Sequence[DataFile]) -> None:
        """Once a life: what is new in a file that was taken in comes with the next start."""
        known = {file.name: file for period in self._folder.journal.periods for file in period.files}
        for file in files:
            if file.name in known and file != known[file.name] and file.name not in self._warned:
                self._warned.add(file.name)
                logger.warning("%s has changed since it was taken in: new records belong in a new file", file.name)


def is_settled(file: DataFile, now_ns: int) -> bool:
    """Whether nothing has been written to it for `SETTLED_S`; so it is where the clock of its disk is ahead."""
    age_s = (now_ns - file.changed_ns) / 1e9
    return age_s >= SETTLED_S or age_s < 0


def with_folder(
    experiment: Experiment, site: DataSite, directory: Path, *, keeps: bool = True
) -> tuple[DataSite, Folder | None]:
    """Where a node's records are, and its folder where one is watched: read once.

    Raises:
        DataError, StateError: see `open_folder`; or the node has no folder of its own.
    """
    if not experiment.data.watch:
        return site, None
    if site.source is None:
        raise DataError(f"data.watch: node {site.node!r} has no folder: give its `data` in peers.yaml")
    folder = open_folder(experiment, site.source, site.data_folder, directory, keeps=keeps)
    return replace(site, periods=tuple(folder.periods)), folder


def begin_intake(folder: Folder | None, bench: Bench, stack: ExitStack) -> Intake | None:
    """Takes new files in from now on; what has to be closed is put on the stack. None without a folder."""
    if folder is None:
        return None
    intake = Intake(folder, bench)
    stack.callback(Watcher(folder.path, intake.wake, intake.look_always).close)
    return intake
