"""Which records belong to which account: fingerprints under the ledger's secret, up to millions of them.

    tag = HMAC-SHA256(secret, fingerprint of the record), first 128 bits

The secret stays in the ledger, so a tag says nothing to anyone who has a list of likely records but not the file. Two
records of equal tag share an account, which can only overstate ε.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from gossipfl.errors import LedgerError
from gossipfl.privacy.ledger_chain import Joined

_TAG_BYTES = 16


def keyed_tags(secret: bytes, fingerprints: Iterable[bytes]) -> list[bytes]:
    """Tags of distinct records, sorted: the order in which a B-tree takes them fastest."""
    return sorted({keyed_tag(secret, fingerprint) for fingerprint in fingerprints})


def keyed_tag(secret: bytes, fingerprint: bytes) -> bytes:
    """Tag of one record."""
    return hmac.digest(secret, fingerprint, "sha256")[:_TAG_BYTES]


def digest_of(tags: Iterable[bytes]) -> str:
    """Digest of sorted tags, as the history keeps it."""
    return hashlib.sha256(b"".join(tags)).hexdigest()


@contextmanager
def wanted(connection: sqlite3.Connection, tags: list[bytes]) -> Iterator[None]:
    """Puts tags where the two questions below can join on them; in memory, for this connection only."""
    connection.execute("CREATE TEMP TABLE wanted (tag BLOB PRIMARY KEY) WITHOUT ROWID")
    try:
        connection.executemany("INSERT INTO wanted VALUES (?)", ((tag,) for tag in tags))
        yield
    finally:
        connection.execute("DROP TABLE IF EXISTS wanted")


def latest_joins(connection: sqlite3.Connection) -> set[int]:
    """The entries by which the wanted records last joined an account."""
    rows = connection.execute(
        "SELECT DISTINCT (SELECT max(entry) FROM records WHERE records.tag = wanted.tag) FROM wanted"
    )
    return {int(entry) for (entry,) in rows if entry is not None}


def latest_by_tag(connection: sqlite3.Connection) -> dict[bytes, int]:
    """The entry by which each wanted record last joined an account; those that never did are left out."""
    rows = connection.execute("SELECT tag, max(entry) FROM records JOIN wanted USING (tag) GROUP BY tag")
    return {bytes(tag): int(entry) for tag, entry in rows}


def unknown_tags(connection: sqlite3.Connection) -> list[bytes]:
    """The wanted tags that never joined any account, sorted."""
    rows = connection.execute(
        "SELECT tag FROM wanted WHERE NOT EXISTS (SELECT 1 FROM records WHERE records.tag = wanted.tag) ORDER BY tag"
    )
    return [bytes(tag) for (tag,) in rows]


def insert(connection: sqlite3.Connection, tags: Iterable[bytes], entry: int) -> None:
    """Writes the tags that an entry lets join."""
    connection.executemany("INSERT INTO records VALUES (?, ?)", ((tag, entry) for tag in tags))


def verify(connection: sqlite3.Connection, joins: Mapping[int, Joined]) -> None:
    """Holds every stored tag against the digests in the history.

    Raises:
        LedgerError: a record was removed, altered or put in.
    """
    hashers = {entry: hashlib.sha256() for entry in joins}
    try:
        for tag, entry in connection.execute("SELECT tag, entry FROM records ORDER BY tag"):
            hashers[entry].update(tag)
    except (KeyError, TypeError) as error:
        raise LedgerError("the ledger was altered: a record belongs to no entry") from error
    altered = [entry for entry, joined in joins.items() if hashers[entry].hexdigest() != joined.digest]
    if altered:
        raise LedgerError(f"the ledger was altered: the records that joined by entry {min(altered)} are not those now")
