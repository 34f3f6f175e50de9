"""An open ledger: the file and what its history amounts to, kept in step.

Every public method that writes is one transaction: first what other processes have written meanwhile is read and
verified, then the new entries follow on it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from gossipfl.errors import LedgerError
from gossipfl.privacy import ledger_records as records
from gossipfl.privacy.ledger_book import Book
from gossipfl.privacy.ledger_chain import Began, Entry, Happening, Joined, Link, append, entries_after, hash_of_charge
from gossipfl.privacy.ledger_schema import connect, connect_read_only, ledger_errors, reading, writing


class LedgerStore:
    """One process's connection to a ledger; verified as a whole when it is opened. Safe to use from several threads.

    Raises:
        LedgerError: the file cannot be used, or was altered.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.book = Book()
        self._lock = Lock()
        self._connection = connect_read_only(path) if read_only else connect(path)
        try:
            with self._errors("be verified"), reading(self._connection):
                self._file = _identity(path)
                self._secret = self._read_secret()
                self.catch_up()
                records.verify(self._connection, self.book.joins)
                self._check_secret()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Gives the file free."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Book]:
        """Lets the caller look at the book as it is now and add to it; durable when it ends, undone when it raises."""
        with self._lock, self._errors("be written"):
            self._refuse_replaced()
            before = self.book.last
            try:
                with writing(self._connection):
                    self.catch_up()
                    before = self.book.last
                    self._begin()
                    yield self.book
            except BaseException:
                # entries of an undone transaction leave the book as well: it is read again when next needed
                if self.book.last != before:
                    self.book = Book()
                raise

    def catch_up(self) -> None:
        """Folds what was written since."""
        try:
            for entry in entries_after(self._connection, self.book.last):
                self.book.fold(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerError(
                f"the ledger {self.path} was altered: an entry makes no sense after those before"
            ) from error

    def add(self, happening: Happening) -> int:
        """Appends to the history, inside a transaction; the entry's number."""
        entry = append(self._connection, self.book.last, happening)
        self.book.fold(entry)
        return entry.link.seq

    def touched(self, tags: list[bytes]) -> tuple[set[int], list[bytes]]:
        """The accounts that these records belong to, and the tags of those that belong to none."""
        with records.wanted(self._connection, tags):
            entries = records.latest_joins(self._connection)
            unknown = records.unknown_tags(self._connection)
        return {self.book.account(self.book.joins[entry].account).number for entry in entries}, unknown

    def accounts_of(self, tags: list[bytes]) -> dict[bytes, int]:
        """The account of each of these records that belongs to one."""
        return {
            tag: self.book.account(self.book.joins[entry].account).number
            for tag, entry in self.entries_of(tags).items()
        }

    def entries_of(self, tags: list[bytes]) -> dict[bytes, int]:
        """The entry by which each of these records last joined an account."""
        if not tags:
            return {}
        with records.wanted(self._connection, tags):
            return records.latest_by_tag(self._connection)

    def join(self, account: int, tags: list[bytes]) -> None:
        """Lets records join an account, inside a transaction."""
        entry = self.add(Joined(account, len(tags), records.digest_of(tags)))
        records.insert(self._connection, tags, entry)

    def tags(self, fingerprints: Iterable[bytes]) -> list[bytes]:
        """Sorted tags of records, by their fingerprints."""
        return records.keyed_tags(self._secret, fingerprints)

    def tag(self, fingerprint: bytes) -> bytes:
        """Of one record."""
        return records.keyed_tag(self._secret, fingerprint)

    def hash_of_charge(self, charges: int) -> str | None:
        """The head when the ledger held so many charges; None when it never did."""
        with self._lock, self._errors("be read"):
            return hash_of_charge(self._connection, charges)

    def history(self) -> list[Entry]:
        """Everything that ever happened, oldest first, verified."""
        with self._lock, self._errors("be read"), reading(self._connection):
            return list(entries_after(self._connection, Link()))

    @contextmanager
    def view(self) -> Iterator[Book]:
        """Lets the caller read the book as it is now."""
        with self._lock, self._errors("be read"), reading(self._connection):
            self.catch_up()
            yield self.book

    def _begin(self) -> None:
        if self.book.began is None:
            self.add(Began(hashlib.sha256(self._secret).hexdigest()))

    def _refuse_replaced(self) -> None:
        # what is charged to a file that no longer lies at its place would be forgotten
        if self._file != _identity(self.path):
            raise LedgerError(f"the ledger {self.path} was replaced while in use")

    def _read_secret(self) -> bytes:
        row = self._connection.execute("SELECT secret FROM ledger").fetchone()
        if row is None:
            raise LedgerError(f"the ledger {self.path} was altered: its secret is gone")
        return bytes(row[0])

    def _check_secret(self) -> None:
        if self.book.began not in {None, hashlib.sha256(self._secret).hexdigest()}:
            raise LedgerError(f"the ledger {self.path} was altered: its secret is another one")

    @contextmanager
    def _errors(self, purpose: str) -> Iterator[None]:
        with ledger_errors(self.path, purpose):
            yield


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
