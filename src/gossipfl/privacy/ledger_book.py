"""What the ledger's history amounts to: accounts, their charges, and which have become one.

    history ── fold ──> Book

Pure bookkeeping without I/O. A charge is that of every account whose records its steps may take. A merged account holds
the union of its parts' charges: every record pays for all of them, though it took part in some only, so ε of the whole
is at least that of each part.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger_chain import Began, Charged, Entry, Joined, Link, Merged, Opened, Started
from gossipfl.privacy.pairs.exposure import Exposure

Tally = Mapping[tuple[float, float], int]
"""Steps by (sample_rate, noise_multiplier)."""
Paid = tuple[frozenset[int], float, float]
"""Accounts that pay together, sample_rate, noise_multiplier."""


@dataclass(slots=True)
class AccountRecord:
    """One account as the history left it.

    Attributes:
        number: of the account, the lowest of those merged into it.
        steps: by (sample_rate, noise_multiplier, run).
        charges: rows in the ledger.
        exposures: at level correlated, steps by (sample_rate, noise_multiplier, what adversaries face); else None.
        levels: of the charges; at most one, `refuse_other_levels` sees to it.
        units: what one unit was in the charges that say it, see `ledger_units`.
        records: records that have joined.
        reasons: why fresh accounts were started here although the data was known, oldest first.
        replaces: accounts whose records went on here with a fresh account.
        started_by: (run, reason) of whoever started it, or any that has become part of it.
        opened_by: (run, node) of whoever went on with it.
        delta: the smallest ever asked for; 1 before any opening.
        accountant: of the last opening.
        public: every opening said that the data is public.
        opened: how often a run went on with it.
        last_used: UTC time of the last entry.
    """

    number: int
    steps: Counter[tuple[float, float, str]] = field(default_factory=Counter)
    charges: int = 0
    exposures: Counter[tuple[float, float, Exposure | None]] = field(default_factory=Counter)
    levels: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    records: int = 0
    reasons: tuple[str, ...] = ()
    replaces: frozenset[int] = frozenset()
    started_by: frozenset[tuple[str, str | None]] = frozenset()
    opened_by: frozenset[tuple[str, str]] = frozenset()
    delta: float = 1.0
    accountant: str = ""
    public: bool = True
    opened: int = 0
    last_used: str = ""

    def exposed_charges(self) -> tuple[Charge, ...]:
        """All charges, with what adversaries faced."""
        return tuple(Charge(rate, noise, steps, faced) for (rate, noise, faced), steps in self.exposures.items())

    def charged_by(self, run: str) -> bool:
        """Whether a run has charged any step."""
        return any(charging == run for _, _, charging in self.steps)

    def tally(self, *, without_run: str | None = None) -> dict[tuple[float, float], int]:
        """Steps by kind; without those of one run."""
        total: Counter[tuple[float, float]] = Counter()
        for (sample_rate, noise_multiplier, run), steps in self.steps.items():
            if run != without_run:
                total[sample_rate, noise_multiplier] += steps
        return dict(total)


class Book:
    """All accounts of a ledger.

    Attributes:
        last: where the history is.
        head: hash of the last charge, hex; empty before the first.
        joins: by entry, the records that joined an account.
        began: digest of the secret.
        charged_by_record: accounts that paid for the same steps, at whatever rate each, as they were numbered at first,
            where every record was a unit by itself, and the last entry that says so.
    """

    def __init__(self) -> None:
        self.last = Link()
        self.head = ""
        self.joins: dict[int, Joined] = {}
        self.began: str | None = None
        self.charged_by_record: dict[frozenset[int], int] = {}
        self._accounts: dict[int, AccountRecord] = {}
        self._merged_into: dict[int, int] = {}
        self._replaced: dict[int, frozenset[int]] = {}
        self._paid: Counter[Paid] = Counter()
        self._by_record: tuple[int, Charged, frozenset[int]] | None = None

    def fold(self, entry: Entry) -> None:
        """Takes in the next entry of the history.

        Raises:
            KeyError, TypeError, ValueError: it makes no sense after those before.
        """
        self.last = entry.link
        for account in self._take(entry):
            account.last_used = entry.time

    def _take(self, entry: Entry) -> Sequence[AccountRecord]:
        match entry.happening:
            case Began(digest):
                self.began = digest
                return ()
            case Started() as started:
                return (self._start(started),)
            case Joined(account, records, _) as joined:
                self.joins[entry.link.seq] = joined
                self.account(account).records += records
                return (self.account(account),)
            case Merged(into, accounts):
                return (self._merge(into, accounts),)
            case Opened() as opened:
                return (self._open(opened),)
            case Charged() as charged:
                self.head = entry.link.hash.hex()
                if charged.unit == "record":
                    self._note_by_record(entry.link.seq, charged)
                return self._charge(charged)

    def account(self, number: int) -> AccountRecord:
        """The account that this one has become."""
        while number in self._merged_into:
            number = self._merged_into[number]
        return self._accounts[number]

    def accounts(self) -> tuple[AccountRecord, ...]:
        """Every account that was not merged into another, oldest first."""
        return tuple(self._accounts[number] for number in sorted(self._accounts))

    def next_account(self) -> int:
        """Number for a new account, from 1."""
        return max((*self._accounts, *self._merged_into), default=0) + 1

    def gone_on(self, numbers: Iterable[int], *, after: int) -> set[int]:
        """Some accounts as they are now, and the fresh ones that were started in their place since.

        Args:
            after: number of the last account at the time.
        """
        found = {self.account(number).number for number in numbers}
        # oldest first: one may have been started in place of another
        for fresh, replaced in self._replaced.items():
            if fresh > after and found & {self.account(number).number for number in replaced}:
                found.add(self.account(fresh).number)
        return found

    def left_by(self, run: str, node: str, numbers: Collection[int]) -> list[AccountRecord]:
        """What a node's run has charged and goes on without: neither among these accounts nor replaced by them."""
        excused, waiting = set[int](), set(numbers)
        while waiting:
            current = waiting.pop()
            excused.add(current)
            waiting |= {self.account(other).number for other in self._accounts[current].replaces} - excused
        return [
            account
            for account in self.accounts()
            if account.number not in excused and (run, node) in account.opened_by and account.charged_by(run)
        ]

    def paid(self, numbers: Iterable[int]) -> dict[tuple[float, float], int]:
        """Steps by kind that any of some accounts has paid for, those that several paid for counted once."""
        wished = {self.account(number).number for number in numbers}
        total: Counter[tuple[float, float]] = Counter()
        for (accounts, sample_rate, noise_multiplier), steps in self._paid.items():
            if any(self.account(number).number in wished for number in accounts):
                total[sample_rate, noise_multiplier] += steps
        return dict(total)

    def covered_steps(self, numbers: Iterable[int]) -> int:
        """Steps paid for by accounts, by those that paid with them, and by those whose records they go on with."""
        seen: set[int] = set()
        waiting = {self.account(number).number for number in numbers}
        while waiting:
            current = waiting.pop()
            seen.add(current)
            waiting |= {self.account(other).number for other in self._related(current)} - seen
        return sum(self.paid(seen).values())

    def _related(self, number: int) -> frozenset[int]:
        together = [
            accounts for accounts, _, _ in self._paid if number in {self.account(one).number for one in accounts}
        ]
        return self._accounts[number].replaces.union(*together)

    def _parts_of(self, numbers: Iterable[int]) -> frozenset[int]:
        """All numbers that are now these accounts."""
        wished = {self.account(number).number for number in numbers}
        merged = {number for number in self._merged_into if self.account(number).number in wished}
        return frozenset(wished | merged)

    def _note_by_record(self, entry: int, charged: Charged) -> None:
        """A step at several rates is several entries, one right after the other."""
        last, before, together = self._by_record or (0, charged, frozenset())
        others = together if entry == last + 1 and charged.is_of_steps_of(before) else frozenset()
        together = self._parts_of(charged.accounts) | others
        self.charged_by_record[together] = entry
        self._by_record = entry, charged, together

    def _start(self, started: Started) -> AccountRecord:
        # one that is there already would lose its charges
        _insist(on=started.account == self.next_account())
        # before schema 4 a reason was written down also where nothing was known of the data
        _insist(on=bool(started.reason) or not started.replaces)
        _insist(on=all(number < started.account for number in started.replaces))
        self._accounts[started.account] = AccountRecord(
            started.account,
            reasons=() if started.reason is None else (started.reason,),
            replaces=frozenset(started.replaces),
            started_by=frozenset({(started.run, started.reason)}),
        )
        self._replaced[started.account] = frozenset(started.replaces)
        return self._accounts[started.account]

    def _merge(self, into: int, accounts: Collection[int]) -> AccountRecord:
        # what becomes part of itself would be looked for without end
        _insist(on=into in self._accounts and into not in accounts)
        whole = self._accounts[into]
        for number in accounts:
            part = self._accounts.pop(number)
            self._merged_into[number] = into
            whole.steps += part.steps
            whole.charges += part.charges
            whole.exposures += part.exposures
            whole.levels |= part.levels
            whole.units |= part.units
            whole.records += part.records
            whole.reasons += part.reasons
            whole.replaces |= part.replaces
            whole.started_by |= part.started_by
            whole.opened_by |= part.opened_by
            whole.delta = min(whole.delta, part.delta)
            whole.public &= part.public
            whole.opened += part.opened
        return whole

    def _open(self, opened: Opened) -> AccountRecord:
        _insist(on=0 < opened.delta < 1)
        account = self.account(opened.account)
        account.delta = min(account.delta, opened.delta)
        account.accountant = opened.accountant
        account.public &= opened.public
        account.opened += 1
        account.opened_by |= {(opened.run, opened.node)}
        return account

    def _charge(self, charged: Charged) -> Sequence[AccountRecord]:
        # steps below 0 would take back what was paid
        _insist(on=charged.steps >= 1 and 0 < charged.sample_rate <= 1 and 0 <= charged.noise_multiplier < math.inf)
        accounts = [self._accounts[number] for number in {self.account(each).number for each in charged.accounts}]
        for account in accounts:
            account.steps[charged.sample_rate, charged.noise_multiplier, charged.run] += charged.steps
            account.charges += 1
            account.exposures[charged.sample_rate, charged.noise_multiplier, charged.exposure] += charged.steps
            account.levels |= {charged.level}
            account.units |= set() if charged.unit is None else {charged.unit}
        self._paid[frozenset(charged.accounts), charged.sample_rate, charged.noise_multiplier] += charged.steps
        return accounts


def _insist(*, on: bool) -> None:
    """Refuses an entry that no ledger writes, whoever has made it and hashed it rightly."""
    if not on:
        raise ValueError("an entry that no ledger writes")


def refuse_other_levels(level: str, accounts: Iterable[AccountRecord]) -> None:
    """Each level protects something else, one unit or all data at once: their ε do not add up in one account.

    Raises:
        PrivacyError: an account has charges of another level.
    """
    for account in accounts:
        if others := sorted(account.levels - {level}):
            raise PrivacyError(
                f"privacy.level {level}: account {account.number} of these records was charged at level "
                f"{', '.join(others)}, whose ε protects something else; --new-account REASON starts afresh"
            )


def as_charges(tally: Tally) -> tuple[Charge, ...]:
    """A tally as charges, in a fixed order."""
    return tuple(Charge(rate, noise, steps) for (rate, noise), steps in sorted(tally.items()))
