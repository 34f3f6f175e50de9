"""The account of a node's data: what was ever spent on these records, by any run, whatever became of its state.

    data ── HMAC of every record ──> accounts ── charge (durable) ──> step

An account is a set of records with the same past. Opening data goes on with every account any of its records belongs
to, and its steps are charged to all of them; records that are new start one of their own (see `ledger_opening`). So no
record has ever a lower ε than its steps cost. ε of a run is that of the account that has paid most, among those too
that it has charged in an earlier life and whose data is gone since. Only `new_account` starts afresh; its reason stays
in the ledger for ever.

Where some records are drawn more seldom than others (`AccountRequest.shares`), each account is charged at the rate of
those of its records that are drawn most.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger_book import AccountRecord, Book, Tally, as_charges, refuse_other_levels
from gossipfl.privacy.ledger_chain import Charged
from gossipfl.privacy.ledger_opened import Opening, opened
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.ledger_units import BY_NAME, BY_RECORD, refuse_charged_by_record, refuse_named
from gossipfl.privacy.meters import EpsilonMeters, deciding

_REMEMBERED = 64


def open_account(path: Path, request: AccountRequest) -> "LedgerAccount":
    """Goes on with the account of these records, or starts one; makes the ledger when there is none.

    A run that asks for a new account again, with the same reason, goes on with the one it started: a service that is
    restarted with its command line does not start afresh each time.

    Raises:
        LedgerError: the ledger cannot be used or was altered; nothing may be trained.
        PrivacyError: the request makes no sense, or the records were charged at another level or for another unit.
    """
    request.check()
    store = LedgerStore(path)
    try:
        return LedgerAccount(store, opened(store, request))
    except BaseException:
        store.close()
        raise


class LedgerAccount:
    """Open accounts that pay together; see `Account` for what its methods promise. Close it when training is over."""

    def __init__(self, store: LedgerStore, opening: Opening) -> None:
        self._store = store
        # one value, replaced as a whole: other threads ask for receipts while data is taken in
        self._now = opening
        self._giving = Lock()
        self._given: tuple[Receipt, ...] = ()
        with store.view() as book:
            self._head = book.last.charges, book.head

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file free."""
        self._store.close()

    def seal(self, reason: str) -> None:
        """No further charge through this object: every one is refused as `BudgetSpentError` for this reason."""
        self._now = replace(self._now, sealed=reason)

    def take_in(self, request: AccountRequest) -> Opening:
        """Goes on with other records, those of before among them, as if it were opened anew; what it was before.

        Between two steps only, by the thread that charges. What is new to the ledger starts an account of its own.

        Guarantees:
            Nothing starts afresh here, whatever reason the run was begun with: what it has charged goes on.

        Raises:
            LedgerError, PrivacyError: see `open_account`; the account is what it was.
        """
        request.check()
        before, self._now = self._now, opened(self._store, replace(request, new_account=None))
        return before

    def put_back(self, before: Opening) -> None:
        """Goes on with what `take_in` gave: what was to be taken in was not, and nothing was charged for it."""
        self._now = before

    def plan(self, charge: Charge, *, every: int) -> None:
        """Says what this run is going to charge, so that its ε is computed once; see `EpsilonMeters.plan`.

        Args:
            charge: all steps of the run.
            every: steps after which a receipt is asked for.
        """
        with self._store.view() as book:
            befores = [
                (own, {each.number: each.tally(without_run=self._run) for each in some})
                for own, some in self._paying(book, self._accounts(book), charge)
            ]
        for own, before in befores:
            self._now.meters.plan(before, own, every=every)

    def charge(self, charge: Charge) -> Receipt:
        """Charges steps before they are done, see `Account.charge`; several processes may charge at once."""
        if self._now.sealed:
            raise BudgetSpentError(self._now.sealed)
        if charge.steps < 1:
            raise PrivacyError(f"a charge needs at least one step, not {charge.steps}")
        with self._store.transaction() as book:
            accounts, meters = self._accounts(book), self._now.meters
            self._refuse_others(book, accounts)
            paying = self._paying(book, accounts, charge)
            # all of them, before the first has paid
            bounds = [meters.admit(_tallies(some), own) for own, some in paying]
            for own, some in paying:
                self._store.add(_charged([each.number for each in some], self._now.request, own))
            paid = {each.number for _, some in paying for each in some}
            others = [each for each in self._told(book) if each.number not in paid]
            receipt = self._receipt(book, max(*bounds, meters.epsilon(_tallies(others))))
        return self._give(receipt)

    def receipt(self) -> Receipt:
        """Covers everything charged so far, see `Account.receipt`."""
        with self._store.view() as book:
            tallies, receipt = _tallies(self._told(book)), self._receipt(book, math.inf)
        # outside: a tenth of a second of convolutions, which no charge should have to wait for
        return self._give(replace(receipt, epsilon=self._now.meters.epsilon(tallies)))

    def charges(self) -> tuple[Charge, ...]:
        """All that any of this data has paid for, equal ones merged."""
        with self._store.view() as book:
            return as_charges(book.paid(self._numbers(book)))

    def charges_before(self) -> tuple[tuple[Charge, ...], ...]:
        """Charges by other runs: what the plan of this run starts from, also when it is resumed.

        One for each account that may be the one to decide, see `deciding`; at least one.
        """
        with self._store.view() as book:
            before = {each.number: each.tally(without_run=self._run) for each in self._accounts(book)}
        return tuple(as_charges(before[number]) for number in deciding(before))

    def pasts_by_share(self) -> dict[float, tuple[tuple[Charge, ...], ...]]:
        """What `charges_before` says, by how often records of the accounts are drawn; 1: as often as any."""
        found: dict[float, dict[int, Tally]] = {}
        with self._store.view() as book:
            for each in self._accounts(book):
                before = each.tally(without_run=self._run)
                found.setdefault(self._share(book, each.number), {})[each.number] = before
        return {
            share: tuple(as_charges(before[number]) for number in deciding(before)) for share, before in found.items()
        }

    def epsilon(self, delta: float) -> float:
        """ε of everything charged so far, at any δ."""
        with self._store.view() as book:
            tallies = _tallies(self._told(book))
        return EpsilonMeters(delta, self._now.request.accountant).epsilon(tallies)

    @property
    def head(self) -> tuple[int, str]:
        """How far the ledger is: charges of all its accounts, and hash of the last one (hex, empty before the first).

        As of this object's last look; never waits for a charge under way. The hash changes only with the number of
        charges, so that neighbors can hold one against the other.
        """
        return self._head

    def require(self, receipt: Receipt) -> None:
        """Refuses a receipt that this ledger does not cover, see `Account.require`.

        Never waits for a charge under way when the receipt is one of the last that this object gave.
        """
        if receipt in self._given:
            return
        with self._store.view() as book:
            held = book.last.charges
            # with those of data that is gone: they need not have paid for the same steps
            told = [each.number for each in self._told(book)]
            covered = book.covered_steps(told) if receipt.charges else 0
        if receipt.charges > held:
            raise PrivacyError(f"a receipt names {receipt.charges} charges, the ledger holds {held}")
        if receipt.steps > covered:
            raise PrivacyError(f"a receipt names {receipt.steps} steps, the ledger has charged {covered}")
        if receipt.charges and receipt.head != self._store.hash_of_charge(receipt.charges):
            raise PrivacyError(f"a receipt of {receipt.charges} charges names another head than the ledger's")

    def _refuse_others(self, book: Book, accounts: Sequence[AccountRecord]) -> None:
        """Another process may have charged them since they were opened."""
        now = self._now
        refuse_other_levels(now.request.level, accounts)
        if now.request.unit == BY_RECORD:
            refuse_named(accounts)
        if now.request.unit == BY_NAME:
            refuse_charged_by_record(book, [each.number for each in accounts], after=now.last_entry)

    def _share(self, book: Book, number: int) -> float:
        """Of an account; one that has become several's, or was started since, pays for the most."""
        shares = self._now.shares
        parts = [part for part in self._now.numbers if book.account(part).number == number]
        return max((shares.get(part, 1.0) for part in parts), default=1.0)

    def _paying(
        self, book: Book, accounts: Sequence[AccountRecord], charge: Charge
    ) -> list[tuple[Charge, list[AccountRecord]]]:
        """What each account pays of a step: at the rate of its own records, those drawn most first."""
        by_share: dict[float, list[AccountRecord]] = {}
        for each in accounts:
            by_share.setdefault(self._share(book, each.number), []).append(each)
        return [
            (replace(charge, sample_rate=charge.sample_rate * share), by_share[share])
            for share in sorted(by_share, reverse=True)
            if share
        ]

    def _numbers(self, book: Book) -> list[int]:
        """As they are now: by other processes some may have become one since, and fresh ones been started on the data.

        A fresh account leaves out what was charged before it, not what its records go on to take part in here.
        """
        return sorted(book.gone_on(self._now.numbers, after=self._now.last_account))

    def _accounts(self, book: Book) -> list[AccountRecord]:
        return [book.account(number) for number in self._numbers(book)]

    def _left(self, book: Book) -> list[AccountRecord]:
        """Of data that this run has trained on and that is no longer there: its state tells of them all the same."""
        return book.left_by(self._run, self._now.request.node, self._numbers(book))

    def _told(self, book: Book) -> list[AccountRecord]:
        return [*self._accounts(book), *self._left(book)]

    def _receipt(self, book: Book, epsilon: float) -> Receipt:
        steps = sum(book.paid(self._numbers(book)).values())
        return Receipt(steps, book.last.charges, book.head, epsilon, self._now.request.delta)

    @property
    def _run(self) -> str:
        return self._now.request.run

    def _give(self, receipt: Receipt) -> Receipt:
        with self._giving:
            # replaced, not changed: `require` reads it without a lock
            self._given = (*self._given[1 - _REMEMBERED :], receipt)
            self._head = max(self._head, (receipt.charges, receipt.head))
        return receipt


def _tallies(accounts: Iterable[AccountRecord]) -> dict[int, Tally]:
    return {each.number: each.tally() for each in accounts}


def _charged(accounts: Sequence[int], request: AccountRequest, charge: Charge) -> Charged:
    faced = charge.exposure
    return Charged(
        account=accounts[0],
        run=request.run,
        sample_rate=charge.sample_rate,
        noise_multiplier=charge.noise_multiplier,
        steps=charge.steps,
        level=request.level,
        outsider=None if faced is None else faced.outsider,
        neighbor=None if faced is None else faced.neighbor,
        beside=tuple(accounts[1:]),
        unit=request.unit,
    )
