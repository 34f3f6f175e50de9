"""The ledger's history: what can happen, and the chain that shows when any of it was altered.

    hash_k = SHA-256(hash_{k-1} ‖ seq ‖ kind ‖ charges ‖ body),    hash_0 = 32 zero bytes

An owner can still put an older copy of the whole file back; only the neighbors see that, by `core.handshake.HeadWatch`.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Self

from gossipfl.errors import LedgerError
from gossipfl.privacy.pairs.exposure import Exposure

_START = bytes(32)

Row = tuple[int, str, int, str, bytes]
"""Number, kind, charges up to here, body, hash."""


@dataclass(frozen=True, slots=True)
class Began:
    """The ledger was made; the digest binds its secret, so that swapping the secret cannot make known data unknown."""

    secret_digest: str


@dataclass(frozen=True, slots=True)
class Started:
    """A new account; with a reason, a fresh one instead of the accounts in `replaces`."""

    account: int
    replaces: tuple[int, ...]
    reason: str | None
    run: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Records joined an account; the digest is over their sorted tags."""

    account: int
    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class Merged:
    """Accounts became one, because records of all of them are trained on together."""

    into: int
    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A run went on with an account."""

    account: int
    run: str
    node: str
    delta: float
    accountant: str
    target_epsilon: float | None
    public: bool


@dataclass(frozen=True, slots=True)
class Charged:
    """Steps were paid for; written before they are done.

    Attributes:
        level: of the mechanism, and so what is protected: one unit of the data, or all of it.
        outsider, neighbor: noise multiplier that weaker adversaries face, at level correlated.
        beside: other accounts whose records the same steps are taken on, and which pay for them too.
        unit: at level example what one was, see `ledger_units`; None: not said.
    """

    account: int
    run: str
    sample_rate: float
    noise_multiplier: float
    steps: int
    # all that there was when charges did not say it
    level: str = "example"
    outsider: float | None = None
    neighbor: float | None = None
    beside: tuple[int, ...] = ()
    unit: str | None = None

    @property
    def accounts(self) -> tuple[int, ...]:
        """All that pay."""
        return (self.account, *self.beside)

    def is_of_steps_of(self, before: "Charged") -> bool:
        """Whether others pay with this for the same steps as with the entry right before: at a lower rate."""
        same = (self.run, self.noise_multiplier, self.steps) == (before.run, before.noise_multiplier, before.steps)
        return same and self.sample_rate < before.sample_rate

    @property
    def exposure(self) -> Exposure | None:
        """What adversaries face, if it is known of weaker ones."""
        if self.outsider is None or self.neighbor is None:
            return None
        return Exposure(self.outsider, self.neighbor, self.noise_multiplier)


Happening = Began | Started | Joined | Merged | Opened | Charged
_KINDS: dict[str, Callable[..., Happening]] = {
    "began": Began,
    "started": Started,
    "joined": Joined,
    "merged": Merged,
    "opened": Opened,
    "charge": Charged,
}
_NAMES = {made: name for name, made in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Link:
    """Where the chain is.

    Attributes:
        seq: number of the entry, from 1; 0 before the first.
        charges: charges in the ledger up to here.
        hash: of the entry.
    """

    seq: int = 0
    charges: int = 0
    hash: bytes = _START

    def next(self, kind: str, body: str) -> Self:
        """The link of the entry that follows."""
        charges = self.charges + (kind == "charge")
        text = f"{self.seq + 1}\n{kind}\n{charges}\n{body}"
        return type(self)(self.seq + 1, charges, hashlib.sha256(self.hash + text.encode()).digest())


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the history.

    Attributes:
        link: its place in the chain.
        time: UTC, ISO 8601.
        happening: what happened.
        body: the same and the time, as it is hashed.
    """

    link: Link
    time: str
    happening: Happening
    body: str


def append(connection: sqlite3.Connection, last: Link, happening: Happening) -> Entry:
    """Writes the entry that follows `last`, inside the caller's transaction, which has read up to there."""
    kind, time = _NAMES[type(happening)], datetime.now(UTC).isoformat(timespec="milliseconds")
    body = json.dumps({"time": time, **asdict(happening)}, sort_keys=True, separators=(",", ":"))
    link = last.next(kind, body)
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (link.seq, kind, link.charges, body, link.hash))
    return Entry(link, time, happening, body)


def row_of(entry: Entry) -> tuple[int, str, int, str, str]:
    """The row that an entry came from, its hash as hex."""
    return entry.link.seq, _NAMES[type(entry.happening)], entry.link.charges, entry.body, entry.link.hash.hex()


def entries_after(connection: sqlite3.Connection, last: Link) -> Iterator[Entry]:
    """Every later entry, each verified against the one before it.

    Raises:
        LedgerError: an entry was altered, removed or put in.
    """
    rows = connection.execute(
        "SELECT seq, kind, charges, body, hash FROM entries WHERE seq > ? ORDER BY seq", (last.seq,)
    )
    yield from follow(rows, last)


def follow(rows: Iterable[Row], last: Link) -> Iterator[Entry]:
    """The entries that rows after `last` hold, each verified against the one before it.

    Raises:
        LedgerError: an entry was altered, removed or put in.
    """
    for seq, kind, charges, body, digest in rows:
        link = last.next(str(kind), str(body))
        if (seq, charges, digest) != (link.seq, link.charges, link.hash):
            raise LedgerError(f"the ledger was altered: entry {seq} does not follow from the one before it")
        yield _entry(link, str(kind), str(body))
        last = link


def hash_of_charge(connection: sqlite3.Connection, charges: int) -> str | None:
    """Hash of the entry that made the charge of this number, as hex; None when there is no such charge."""
    row = connection.execute("SELECT hash FROM entries WHERE kind = 'charge' AND charges = ?", (charges,)).fetchone()
    return None if row is None else bytes(row[0]).hex()


def _entry(link: Link, kind: str, body: str) -> Entry:
    try:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(body).items()}
        time = str(values.pop("time"))
        return Entry(link, time, _KINDS[kind](**values), body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"the ledger's entry {link.seq} cannot be understood: kind {kind!r}") from error
