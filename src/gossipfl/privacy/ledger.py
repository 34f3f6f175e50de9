"""The account of a node's data: what was ever spent on these records, by any run, whatever became of its state.

    data ── HMAC of every record ──> account ── charge (durable) ──> step

An account is a set of records that have ever been trained on together. Opening data goes on with every account any of
its records belongs to: several become one that holds all their charges, and new records join. So a subset, a superset
or a mixture of known data never has a lower ε than its parts had. Only `new_account` starts afresh; its reason stays in
the ledger for ever.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.curve import Planned
from gossipfl.privacy.ledger_book import Book, as_charges, refuse_other_levels
from gossipfl.privacy.ledger_chain import Charged, Merged, Opened, Started
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.meter import EpsilonMeter

TOLERANCE = 1e-9
"""Relative excess over the target that counts as none, so that a plan which meets its target exactly can finish."""
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """Whose account is opened, and on what terms.

    Attributes:
        tags: fingerprint of each training record, in any order.
        delta: δ at which this run states its ε.
        accountant: name from `ACCOUNTANTS`.
        target_epsilon: ε of the data, all runs together, that this run must not exceed; None: no bound.
        public: the records are public, as in a demo; recorded.
        new_account: reason for a fresh account on known data; None goes on with theirs.
        run: names this run, equal after every restart of it.
        node: name of the node.
        level: of the mechanism; an account holds charges of one only.
    """

    tags: Sequence[bytes]
    delta: float
    accountant: str
    target_epsilon: float | None
    public: bool
    new_account: str | None
    run: str
    node: str
    level: str = "example"


def open_account(path: Path, request: AccountRequest) -> "LedgerAccount":
    """Goes on with the account of these records, or starts one; makes the ledger when there is none.

    A run that asks for a new account again, with the same reason, goes on with the one it started: a service that is
    restarted with its command line does not start afresh each time.

    Raises:
        LedgerError: the ledger cannot be used or was altered; nothing may be trained.
        PrivacyError: the request makes no sense, or the records were charged at another level.
    """
    _check(request)
    store = LedgerStore(path)
    try:
        tags = store.tags(request.tags)
        with store.transaction() as book:
            touched, unknown = store.touched(tags)
            account = _settle(store, book, request, touched)
            fresh = account not in touched
            joining = tags if fresh else unknown
            if joining:
                store.join(account, joining)
            store.add(_opened(account, request))
        return LedgerAccount(store, account, request)
    except BaseException:
        store.close()
        raise


class LedgerAccount:
    """An open account; see `Account` for what its methods promise. Close it when training is over."""

    def __init__(self, store: LedgerStore, number: int, request: AccountRequest) -> None:
        self._store = store
        self._number = number
        self._run = request.run
        target = None if request.target_epsilon is None else request.target_epsilon * (1 + TOLERANCE)
        self._meter = EpsilonMeter(request.delta, request.accountant, target)
        self._request = request
        self._giving = Lock()
        self._given: tuple[Receipt, ...] = ()
        self._sealed = ""
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
        self._sealed = reason

    def plan(self, charge: Charge, *, every: int) -> None:
        """Says what this run is going to charge, so that its ε is computed once; see `EpsilonMeter.plan`.

        Args:
            charge: all steps of the run.
            every: steps after which a receipt is asked for.
        """
        with self._store.view() as book:
            before = book.account(self._number).tally(without_run=self._run)
        kind = charge.sample_rate, charge.noise_multiplier
        self._meter.plan(Planned(before, kind, charge.steps, every))

    def charge(self, charge: Charge) -> Receipt:
        """Charges steps before they are done, see `Account.charge`; several processes may charge at once."""
        if self._sealed:
            raise BudgetSpentError(self._sealed)
        if charge.steps < 1:
            raise PrivacyError(f"a charge needs at least one step, not {charge.steps}")
        with self._store.transaction() as book:
            account, level = book.account(self._number), self._request.level
            # another process may have charged it since it was opened
            refuse_other_levels(level, [account])
            bound = self._meter.admit(account.tally(), charge)
            self._store.add(_charged(account.number, self._run, level, charge))
            receipt = self._receipt(book, bound)
        return self._give(receipt)

    def receipt(self) -> Receipt:
        """Covers everything charged so far, see `Account.receipt`."""
        with self._store.view() as book:
            tally, receipt = book.account(self._number).tally(), self._receipt(book, math.inf)
        # outside: a tenth of a second of convolutions, which no charge should have to wait for
        return self._give(replace(receipt, epsilon=self._meter.epsilon(tally)))

    def charges(self) -> tuple[Charge, ...]:
        """All charges of this data, equal ones merged."""
        with self._store.view() as book:
            return as_charges(book.account(self._number).tally())

    def charges_before(self) -> tuple[Charge, ...]:
        """Charges of this data by other runs: what the plan of this run starts from, also when it is resumed."""
        with self._store.view() as book:
            return as_charges(book.account(self._number).tally(without_run=self._run))

    def epsilon(self, delta: float) -> float:
        """ε of everything charged so far, at any δ."""
        with self._store.view() as book:
            tally = book.account(self._number).tally()
        return EpsilonMeter(delta, self._request.accountant, None).epsilon(tally)

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
            covered = book.covered_steps(self._number) if receipt.charges else 0
        if receipt.charges > held:
            raise PrivacyError(f"a receipt names {receipt.charges} charges, the ledger holds {held}")
        if receipt.steps > covered:
            raise PrivacyError(f"a receipt names {receipt.steps} steps, the ledger has charged {covered}")
        if receipt.charges and receipt.head != self._store.hash_of_charge(receipt.charges):
            raise PrivacyError(f"a receipt of {receipt.charges} charges names another head than the ledger's")

    def _receipt(self, book: Book, epsilon: float) -> Receipt:
        steps = book.account(self._number).steps.total()
        return Receipt(steps, book.last.charges, book.head, epsilon, self._request.delta)

    def _give(self, receipt: Receipt) -> Receipt:
        with self._giving:
            # replaced, not changed: `require` reads it without a lock
            self._given = (*self._given[1 - _REMEMBERED :], receipt)
            self._head = max(self._head, (receipt.charges, receipt.head))
        return receipt


def _charged(account: int, run: str, level: str, charge: Charge) -> Charged:
    faced = charge.exposure
    return Charged(
        account=account,
        run=run,
        sample_rate=charge.sample_rate,
        noise_multiplier=charge.noise_multiplier,
        steps=charge.steps,
        level=level,
        outsider=None if faced is None else faced.outsider,
        neighbor=None if faced is None else faced.neighbor,
    )


def _check(request: AccountRequest) -> None:
    if not request.tags:
        raise PrivacyError("an account needs at least one record")
    if not 0 < request.delta < 1:
        raise PrivacyError(f"delta must lie between 0 and 1, not {request.delta}")
    if request.target_epsilon is not None and not request.target_epsilon > 0:
        raise PrivacyError(f"target_epsilon must be above 0, not {request.target_epsilon}")
    if request.new_account is not None and not request.new_account.strip():
        raise PrivacyError("--new-account needs a reason; it is recorded in the ledger for ever")


def _settle(store: LedgerStore, book: Book, request: AccountRequest, touched: set[int]) -> int:
    """The account to go on with: one of those touched, all of them made one, or a new one."""
    if not touched or (request.new_account is not None and not _started_by(book, request, touched)):
        account = book.next_account()
        store.add(Started(account, tuple(sorted(touched)), request.new_account, request.run))
        return account
    refuse_other_levels(request.level, map(book.account, touched))
    first, *others = sorted(touched)
    if others:
        store.add(Merged(first, tuple(others)))
    return first


def _started_by(book: Book, request: AccountRequest, touched: set[int]) -> bool:
    return {book.account(number).started_by for number in touched} == {(request.run, request.new_account)}


def _opened(account: int, request: AccountRequest) -> Opened:
    return Opened(
        account=account,
        run=request.run,
        node=request.node,
        delta=request.delta,
        accountant=request.accountant,
        target_epsilon=request.target_epsilon,
        public=request.public,
    )
