"""The ledger file: its tables, its versions, and how it is opened.

    ledger    one row: the secret that keys the records' fingerprints
    entries   the history, one row for everything that ever happened, chained by hash (ledger_chain.py)
    records   which records joined an account, and by which entry

Nothing is ever changed or removed: triggers forbid it, and the chain shows it. SQLite in WAL mode with
`synchronous=FULL`: a commit has been flushed to the disk when it returns. Several processes may share the file, on a
local disk (WAL does not work over a network file system).
"""

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from gossipfl.durable import fsync_folder
from gossipfl.errors import LedgerError

BUSY_S = 60.0
"""How long a writer waits for another process's transaction."""
_APPLICATION_ID = 0x67737066  # "gspf"
_TABLES = ("ledger", "entries", "records")


def _forbid(table: str) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_{action} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for action in ("UPDATE", "DELETE")
    )


_VERSION_1 = (
    "CREATE TABLE ledger (id INTEGER PRIMARY KEY CHECK (id = 1), secret BLOB NOT NULL)",
    (
        "CREATE TABLE entries (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, charges INTEGER NOT NULL, "
        "body TEXT NOT NULL, hash BLOB NOT NULL)"
    ),
    "CREATE UNIQUE INDEX entries_charges ON entries (charges) WHERE kind = 'charge'",
    "CREATE TABLE records (tag BLOB NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (tag, entry)) WITHOUT ROWID",
    *(statement for table in _TABLES for statement in _forbid(table)),
)

_VERSION_2: tuple[str, ...] = ()
"""The tables are the same; charges name their level."""

_VERSION_3: tuple[str, ...] = ()
"""The tables are the same; charges may say what weaker adversaries face."""

_VERSION_4: tuple[str, ...] = ()
"""The tables are the same; a charge may be several accounts'."""

_VERSION_5: tuple[str, ...] = ()
"""The tables are the same; a charge says what one unit was."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
"""Statements that lead from version k to k + 1; a published one is never edited."""


def connect(path: Path, *, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> sqlite3.Connection:
    """Opens a ledger for writing, in autocommit; makes it when there is none, readable by its owner only.

    Raises:
        LedgerError: the file cannot be made, read or written, is no ledger, or comes from a newer gossipfl.
    """
    with ledger_errors(path, "be opened for writing"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = _create(path)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _refuse_others(connection, path)
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA temp_store = MEMORY")
            _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
        if fresh:
            fsync_folder(path.parent)
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Opens an existing ledger for reading; works on a read-only medium.

    Raises:
        LedgerError: there is no such file, it is no ledger, or comes from another version.
    """
    with ledger_errors(path, "be read"):
        if not path.is_file():
            raise LedgerError(f"the ledger {path} does not exist")
        connection = _open_for_reading(path)
        try:
            _refuse_others(connection, path)
            _refuse_other_versions(connection, path)
            connection.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def ledger_errors(path: Path, purpose: str) -> Iterator[None]:
    """Turns what SQLite or the disk refuses into one line that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LedgerError(f"the ledger {path} cannot {purpose}: {' '.join(reason.split())}") from error


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that no other writer can come between; durable when it ends, undone when it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """One consistent view of the whole file, whatever other processes write meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _create(path: Path) -> bool:
    # made closed to others before SQLite sees it; never opened here when it exists: closing a descriptor
    # would drop this process's POSIX locks on the file (sqlite.org/howtocorrupt.html 2.2)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    return True


def _open_for_reading(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError:
        # a folder without write permission cannot hold WAL's shared memory; without a WAL the file is all there is
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        return sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    # in this order: another process may be making the ledger, and both come to be at once
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION_ID and (application or tables):
        raise LedgerError(f"the ledger {path} is another program's database")


def _refuse_other_versions(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    # an older one whose tables are the same can be read as it is
    if not 0 < version <= len(MIGRATIONS) or any(MIGRATIONS[version:]):
        raise LedgerError(f"the ledger {path} has schema version {version}, expected {len(MIGRATIONS)}")


def _use_wal(connection: sqlite3.Connection) -> None:
    # the change of mode does not wait for other processes by itself
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[tuple[str, ...], ...]) -> None:
    if _version(connection) == len(migrations):
        return
    with writing(connection):
        version = _version(connection)
        if version > len(migrations):
            newer = f"schema version {version}, this gossipfl knows {len(migrations)}"
            raise LedgerError(f"the ledger {path} was written by a newer gossipfl: {newer}")
        for statement in [statement for step in migrations[version:] for statement in step]:
            connection.execute(statement)
        if version == 0:
            connection.execute("INSERT INTO ledger (id, secret) VALUES (1, ?)", (secrets.token_bytes(32),))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
