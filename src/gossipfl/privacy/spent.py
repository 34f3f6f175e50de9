"""What a ledger says was spent, without changing it: for `gossipfl privacy spent`, `gossipfl check` and the plan."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger_book import AccountRecord, Book, as_charges, refuse_other_levels
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.meter import EpsilonMeter

MECHANISMS: Mapping[str, str] = {
    "example": "Poisson-subsampled Gaussian (DP-SGD), one unit of the data added or removed",
    "update": "Gaussian on the clipped update of a phase, all data of the node present or absent (zero-out)",
}
"""What charges of each level paid for, and what their ε protects."""


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One account of a ledger.

    Attributes:
        account: number in the ledger.
        epsilon: spent by all runs together, at `delta`.
        delta: the smallest any run asked for.
        charges: rows in the ledger.
        steps: training steps paid for; at level update phases.
        level: of the charges; empty before the first.
        mechanism: what the charges paid for.
        accountant: of the last opening.
        records: that ever joined.
        public: every run said that the data is public.
        reasons: why fresh accounts were started on known data, oldest first.
        replaces: accounts that this one was started in place of.
        last_used: UTC time of its last entry.
    """

    account: int
    epsilon: float
    delta: float
    charges: int
    steps: int
    level: str
    mechanism: str
    accountant: str
    records: int
    public: bool
    reasons: tuple[str, ...]
    replaces: tuple[int, ...]
    last_used: str


def spent(path: Path) -> list[AccountSummary]:
    """Every account of a ledger, oldest first.

    Raises:
        LedgerError: there is no such ledger, it cannot be read, or it was altered.
    """
    store = LedgerStore(path, read_only=True)
    try:
        return [_summary(account) for account in store.book.accounts()]
    finally:
        store.close()


def charged_before(
    path: Path, fingerprints: Iterable[bytes], *, run: str | None = None, level: str | None = None
) -> tuple[Charge, ...]:
    """What a run on these records would start from: the charges of every account any of them belongs to.

    Args:
        path: of the ledger; nothing was spent when there is no such file.
        fingerprints: of the training records.
        run: leaves out this run's own charges: what its plan was made from.
        level: of the run; None takes charges of any.

    Raises:
        PrivacyError: the records were charged at another level.
        LedgerError: the ledger cannot be read, or was altered.
    """
    if not path.exists():
        return ()
    store = LedgerStore(path, read_only=True)
    try:
        touched, _ = store.touched(store.tags(fingerprints))
        if level is not None:
            refuse_other_levels(level, map(store.book.account, touched))
        return _union(store.book, touched, run)
    finally:
        store.close()


def _union(book: Book, accounts: Iterable[int], run: str | None) -> tuple[Charge, ...]:
    total: dict[tuple[float, float], int] = {}
    for number in accounts:
        for kind, steps in book.account(number).tally(without_run=run).items():
            total[kind] = total.get(kind, 0) + steps
    return as_charges(total)


def _summary(account: AccountRecord) -> AccountSummary:
    meter = EpsilonMeter(account.delta, account.accountant, None)
    level = ", ".join(sorted(account.levels))
    return AccountSummary(
        account=account.number,
        epsilon=meter.epsilon(account.tally()),
        delta=account.delta,
        charges=account.charges,
        steps=account.steps.total(),
        level=level,
        mechanism=MECHANISMS.get(level, level),
        accountant=account.accountant,
        records=account.records,
        public=account.public,
        reasons=account.reasons,
        replaces=tuple(sorted(account.replaces)),
        last_used=account.last_used,
    )
