"""What a ledger says was spent, without changing it: for `gossipfl privacy spent`, `gossipfl check` and the plan."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.curve import Kind
from gossipfl.privacy.ledger_book import AccountRecord, Book, as_charges, refuse_other_levels
from gossipfl.privacy.ledger_chain import Charged, Entry
from gossipfl.privacy.ledger_opening import OF_UNITS
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.ledger_units import refuse_other_units
from gossipfl.privacy.meter import EpsilonMeter
from gossipfl.privacy.meters import deciding
from gossipfl.privacy.pairs.exposed import exposed

MECHANISMS: Mapping[str, str] = {
    "example": "Poisson-subsampled Gaussian (DP-SGD), one unit of the data added or removed",
    "update": "Gaussian on the clipped update of a phase, all data of the node present or absent (zero-out)",
    "correlated": "Gaussian on the clipped update of a phase, all data of the node present or absent (zero-out); ε is "
    "against all neighbors together, who know the noise that they share with the node",
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
        exposed: ε by adversary, at level correlated; None else.
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
    exposed: dict[str, float] | None
    accountant: str
    records: int
    public: bool
    reasons: tuple[str, ...]
    replaces: tuple[int, ...]
    last_used: str


@dataclass(frozen=True, slots=True)
class History:
    """Equal charges that followed one another.

    Attributes:
        first, last: their numbers in the ledger, from 1.
        since, until: UTC times of the two.
        account: number, as it was then; of several the first.
        beside: the others.
        run: that charged.
        level: of the mechanism.
        sample_rate, noise_multiplier: of each step.
        steps: of all together.
    """

    first: int
    last: int
    since: str
    until: str
    account: int
    run: str
    level: str
    sample_rate: float
    noise_multiplier: float
    steps: int
    beside: tuple[int, ...] = ()


def history(path: Path) -> list[History]:
    """Every charge of a ledger, oldest first.

    Raises:
        LedgerError: there is no such ledger, it cannot be read, or it was altered.
    """
    store = LedgerStore(path, read_only=True)
    try:
        return list(history_of(store.history()))
    finally:
        store.close()


def history_of(entries: Iterable[Entry]) -> Iterator[History]:
    """The charges among some entries, those of a kind in one."""
    charges = ((entry, entry.happening) for entry in entries if isinstance(entry.happening, Charged))
    for _, some in groupby(charges, key=lambda pair: replace(pair[1], steps=0)):
        (first, charged), *rest = some
        last = rest[-1][0] if rest else first
        yield History(
            first=first.link.charges,
            last=last.link.charges,
            since=first.time,
            until=last.time,
            account=charged.account,
            run=charged.run,
            level=charged.level,
            sample_rate=charged.sample_rate,
            noise_multiplier=charged.noise_multiplier,
            steps=charged.steps + sum(other.steps for _, other in rest),
            beside=charged.beside,
        )


def spent(path: Path, *, run: str | None = None) -> list[AccountSummary]:
    """Every account of a ledger, oldest first.

    Args:
        run: only those that it has charged.

    Raises:
        LedgerError: there is no such ledger, it cannot be read, or it was altered.
    """
    store = LedgerStore(path, read_only=True)
    try:
        accounts = store.book.accounts()
        return [summary_of(account) for account in accounts if run is None or account.charged_by(run)]
    finally:
        store.close()


def charged_before(
    path: Path,
    fingerprints: Iterable[bytes],
    *,
    units: Sequence[Sequence[bytes]] = (),
    run: str | None = None,
    level: str | None = None,
) -> tuple[tuple[Charge, ...], ...]:
    """What a run on these records would start from, as `LedgerAccount.charges_before` would say; one at least.

    Args:
        path: of the ledger; nothing was spent when there is no such file.
        fingerprints: of the training records.
        units: those of each named unit, see `AccountRequest`.
        run: leaves out this run's own charges: what its plan was made from.
        level: of the run; None: that at which units are protected, and charges of any.

    Raises:
        PrivacyError: the records were charged at another level, or for another unit.
        LedgerError: the ledger cannot be read, or was altered.
    """
    if not path.exists():
        return ((),)
    store = LedgerStore(path, read_only=True)
    try:
        touched, _ = store.touched(store.tags(fingerprints))
        if level is not None:
            refuse_other_levels(level, map(store.book.account, touched))
        if level == OF_UNITS:
            refuse_other_units(store, store.book, map(store.book.account, touched), units)
        whole: Iterable[Collection[int]] = (
            [touched] if level not in {None, OF_UNITS} else _accounts_of_units(store, units)
        )
        return _pasts(store.book, _become_one(touched, whole), run)
    finally:
        store.close()


def _accounts_of_units(store: LedgerStore, units: Iterable[Iterable[bytes]]) -> set[frozenset[int]]:
    tags = [store.tags(unit) for unit in units]
    known = store.accounts_of(sorted({tag for unit in tags for tag in unit}))
    return {frozenset(known[tag] for tag in unit if tag in known) for unit in tags}


def _become_one(accounts: Iterable[int], whole: Iterable[Collection[int]]) -> list[set[int]]:
    """Some accounts as a run would join them: those that something whole has a part in are one."""
    groups = [{number} for number in sorted(accounts)]
    for numbers in whole:
        joined = [group for group in groups if not group.isdisjoint(numbers)]
        groups = [group for group in groups if group.isdisjoint(numbers)]
        groups += [set().union(*joined)] if joined else []
    return groups


def _pasts(book: Book, groups: Iterable[set[int]], run: str | None) -> tuple[tuple[Charge, ...], ...]:
    before: dict[int, Counter[Kind]] = {
        min(group): sum((Counter(book.account(number).tally(without_run=run)) for number in group), Counter())
        for group in groups
    } or {0: Counter()}
    return tuple(as_charges(before[number]) for number in deciding(before))


def summary_of(account: AccountRecord) -> AccountSummary:
    """What one account amounts to."""
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
        exposed=exposed(account.exposed_charges(), account.delta, account.accountant),
        accountant=account.accountant,
        records=account.records,
        public=account.public,
        reasons=account.reasons,
        replaces=tuple(sorted(account.replaces)),
        last_used=account.last_used,
    )
