"""What a node has published, to whom and at which ε: an append-only, signed log that an auditor can verify.

    append ── one line, one signature, one flush to the disk ──> durable ──> the bytes leave

All that is published at once is one line (publication_lines.py). A crash can tear only the last line, whose bytes never
left: it is cut off at the next opening; anything else that does not fit is an error.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, Self

from gossipfl.core.messages import Publishable
from gossipfl.durable import fsync_folder
from gossipfl.errors import LedgerError
from gossipfl.privacy.publication_lines import (
    START,
    Line,
    Publication,
    Published,
    Rollback,
    hash_of,
    read_line,
    write_line,
    write_rollback,
)
from gossipfl.privacy.signing import Signer
from gossipfl.privacy.signing import verify as signed_by
from gossipfl.state import AdapterState

__all__ = ["Publication", "PublicationLog", "Published", "Rollback", "VerifiedLog", "read_log", "verify"]
_MAX_LINE_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What a verified log amounts to.

    Attributes:
        publications: how many.
        receivers: everybody who got one, sorted.
        epsilon: the highest stated; infinite when something went out without privacy; 0 for an empty log.
        first_time, last_time: UTC, empty for an empty log.
        head: hash of the last line; commits to all of them.
        torn_bytes: of an unfinished last line, which tells of nothing that left.
        rollbacks: oldest first; nothing before them was taken back by them.
    """

    publications: int = 0
    receivers: tuple[str, ...] = ()
    epsilon: float = 0.0
    first_time: str = ""
    last_time: str = ""
    head: str = START
    torn_bytes: int = 0
    rollbacks: tuple[Rollback, ...] = ()


class PublicationLog:
    """A node's own log, open for appending by this process only. Safe to use from several threads.

    Raises:
        LedgerError: the file cannot be written, is in use, or was altered.
    """

    def __init__(self, path: Path, signer: Signer) -> None:
        self._path = path
        self._signer = signer
        self._lock = Lock()
        self._broken = False
        self._digested: tuple[AdapterState, str] | None = None
        self._previous = START
        self._sequence = 0
        self._end = 0
        self._rolled_back: Rollback | None = None
        with _errors(path, "be opened"):
            self._file = _open(path)
            try:
                self._recover()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file free."""
        with self._lock:
            self._file.close()

    @property
    def sequence(self) -> int:
        """Publications so far."""
        return self._sequence

    @property
    def rolled_back(self) -> Rollback | None:
        """The rollback that the last line tells of: nothing was published since."""
        return self._rolled_back

    def verify(self, certificate_pem: bytes) -> VerifiedLog:
        """Verifies the log as it lies on the disk, see `verify`."""
        return verify(self._path, certificate_pem)

    def append(self, sends: Sequence[tuple[str, Publishable[AdapterState]]]) -> int:
        """Records what is about to leave, as (receiver, content); durable on return. The sequence of the last one.

        Give all messages of one moment at once: they share a signature and a flush.

        Raises:
            LedgerError: it could not be made durable; nothing of it may leave.
        """
        with self._lock, _errors(self._path, "be written"):
            if not sends:
                return self._sequence
            if self._broken:
                raise LedgerError(f"the publication log {self._path} is broken since an earlier write failed")
            rows = [self._row(receiver, content) for receiver, content in sends]
            line = write_line(rows, first=self._sequence + 1, previous=self._previous, signer=self._signer)
            self._write(line)
            self._previous, self._rolled_back = hash_of(line), None
            self._sequence += len(rows)
            return self._sequence

    def note_rollback(self, rollback: Rollback) -> None:
        """Records that the node is about to go on from an earlier state; durable on return.

        Raises:
            LedgerError: it could not be made durable; nothing may be rolled back.
        """
        with self._lock, _errors(self._path, "be written"):
            first = self._sequence + 1
            line = write_rollback(rollback, first=first, previous=self._previous, signer=self._signer)
            self._write(line)
            self._previous, self._rolled_back = hash_of(line), rollback

    def _row(self, receiver: str, content: Publishable[AdapterState]) -> Publication:
        # the same state usually goes to every neighbor: its digest is computed once
        if self._digested is None or self._digested[0] is not content.state:
            self._digested = (content.state, content.state.digest())
        paid = content.receipt
        return Publication(receiver, self._digested[1], paid.epsilon, paid.delta, paid.charges, paid.head)

    def _write(self, line: bytes) -> None:
        descriptor = self._file.fileno()
        try:
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError:
            # half a line must not be followed by another; should even this fail, nothing more is written
            self._broken = True
            os.ftruncate(descriptor, self._end)
            self._broken = False
            raise
        self._end += len(line)

    def _recover(self) -> None:
        for line, raw in _lines(self._file, self._path):
            self._previous, self._rolled_back = hash_of(raw), line.rollback
            self._sequence += len(line.published)
            self._end += len(raw)
        if self._end < os.fstat(self._file.fileno()).st_size:
            os.ftruncate(self._file.fileno(), self._end)
            os.fsync(self._file.fileno())


def verify(path: Path, certificate_pem: bytes) -> VerifiedLog:
    """Verifies every line of a log: its place, its numbering, its signature.

    Args:
        path: of the log.
        certificate_pem: the node's certificate; several in one text when it was renewed.

    Raises:
        LedgerError: names the first line that does not fit.
        CertificateError: there is no usable certificate in the text.
    """
    log, receivers = VerifiedLog(), set[str]()
    with _errors(path, "be read"), path.open("rb") as file:
        torn = os.fstat(file.fileno()).st_size
        for number, (line, raw) in enumerate(_lines(file, path), start=1):
            if not signed_by(certificate_pem, line.signature, line.signed):
                raise LedgerError(f"the publication log {path} was altered: line {number} was not signed by this key")
            receivers |= {row.publication.receiver for row in line.published}
            torn -= len(raw)
            log = replace(_with(log, line), receivers=tuple(sorted(receivers)), head=hash_of(raw))
    return replace(log, torn_bytes=torn)


def _with(log: VerifiedLog, line: Line) -> VerifiedLog:
    if line.rollback is not None:
        return replace(log, rollbacks=(*log.rollbacks, line.rollback))
    return replace(
        log,
        publications=log.publications + len(line.published),
        epsilon=max(log.epsilon, *(row.publication.epsilon for row in line.published)),
        first_time=log.first_time or line.published[0].time,
        last_time=line.published[-1].time,
    )


def read_log(path: Path) -> Iterator[Published]:
    """Every publication in a log, oldest first, its place and numbering verified, its signature not.

    Raises:
        LedgerError: the log cannot be read, or was altered.
    """
    with _errors(path, "be read"), path.open("rb") as file:
        for line, _ in _lines(file, path):
            yield from line.published


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[Line, bytes]]:
    """Every complete line, and its bytes; an unfinished last one is left out."""
    previous, sequence, number = START, 0, 0
    while (raw := file.readline(_MAX_LINE_BYTES)).endswith(b"\n"):
        number += 1
        try:
            line = read_line(raw)
        except ValueError as error:
            raise LedgerError(f"the publication log {path} was altered: line {number}: {error}") from error
        numbers = [row.sequence for row in line.published]
        if line.previous != previous or numbers != list(range(sequence + 1, sequence + len(numbers) + 1)):
            raise LedgerError(f"the publication log {path} was altered: line {number} does not follow the one before")
        yield line, raw
        previous, sequence = hash_of(raw), sequence + len(numbers)
    if len(raw) == _MAX_LINE_BYTES:
        raise LedgerError(f"the publication log {path} was altered: line {number + 1} is endless")


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600), "rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fsync_folder(path.parent)
    except BlockingIOError as error:
        file.close()
        raise LedgerError(f"the publication log {path} is in use by another process") from error
    except BaseException:
        file.close()
        raise
    return file


@contextlib.contextmanager
def _errors(path: Path, purpose: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(f"the publication log {path} cannot {purpose}: {error.strerror or error}") from error
