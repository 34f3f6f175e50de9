"""Which accounts pay for training on some data.

    records ── known to A, B ──> both go on      ── unknown ──> a new account C      a step is charged to A, B and C

An account is a set of records that have the same past: whatever took part of it took all of it, as far as is known.
So data that is appended starts at ε = 0, and what was there before goes on. Two things are held together:

- what belongs to one unit (`data.unit`) lies in one account, since its ε adds up over all its records;
- where all data of a node is one unit (levels update, correlated), all of it lies in one account.

There several accounts become one that holds all their charges, and new records join.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gossipfl.errors import PrivacyError
from gossipfl.privacy.ledger_book import Book, refuse_other_levels
from gossipfl.privacy.ledger_chain import Merged, Opened, Started
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.ledger_units import BY_NAME, BY_RECORD, refuse_other_units

OF_UNITS = "example"
"""The level at which one unit of the data is protected, and not all of it."""


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """Whose account is opened, and on what terms.

    Attributes:
        tags: fingerprint of each training record, and of each unit that has a name, in any order.
        delta: δ at which this run states its ε.
        accountant: name from `ACCOUNTANTS`.
        target_epsilon: ε of the data, all runs together, that this run must not exceed; None: no bound.
        public: the records are public, as in a demo; recorded.
        new_account: reason for a fresh account on known data; None goes on with theirs.
        run: names this run, equal after every restart of it.
        node: name of the node.
        level: of the mechanism; an account holds charges of one only.
        units: at level example, where units have names, the tags of each: its own first, then those of its records,
            of equal ones all.
        shares: at level example, how much more seldom than others units are drawn, by tag, in [0, 1]; those that it
            does not name are drawn as often as any. See `learning.continual`.
    """

    tags: Sequence[bytes]
    delta: float
    accountant: str
    target_epsilon: float | None
    public: bool
    new_account: str | None
    run: str
    node: str
    level: str = OF_UNITS
    units: Sequence[Sequence[bytes]] = ()
    shares: Mapping[bytes, float] = field(default_factory=dict)

    @property
    def unit(self) -> str | None:
        """What is one, see `ledger_units`; None where all data is."""
        if self.level != OF_UNITS:
            return None
        return BY_NAME if self.units else BY_RECORD

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            PrivacyError: what was asked for, and what was expected.
        """
        if not self.tags:
            raise PrivacyError("an account needs at least one record")
        if not 0 < self.delta < 1:
            raise PrivacyError(f"delta must lie between 0 and 1, not {self.delta}")
        if self.target_epsilon is not None and not self.target_epsilon > 0:
            raise PrivacyError(f"target_epsilon must be above 0, not {self.target_epsilon}")
        if self.new_account is not None and not self.new_account.strip():
            raise PrivacyError("--new-account needs a reason; it is recorded in the ledger for ever")
        if self.shares and self.level != OF_UNITS:
            raise PrivacyError(f"at level {self.level} all data is one unit, which cannot be drawn more or less often")
        if not all(0 <= share <= 1 for share in self.shares.values()):
            raise PrivacyError("a share of an account's request is not in [0, 1]")


def settle(store: LedgerStore, book: Book, request: AccountRequest) -> tuple[int, ...]:
    """The accounts that pay for training on these records, each record in one of them; inside a transaction.

    Raises:
        PrivacyError: the records were charged at another level, or for another unit; or a fresh account is wished of
            records without any.
    """
    tags = store.tags(request.tags)
    touched, unknown = store.touched(tags)
    if request.new_account is not None and not touched:
        # a service repeats its command line: the next start would find this one's account, and start afresh once more
        raise PrivacyError("--new-account starts afresh on known data, and the ledger knows none of this: leave it out")
    if request.new_account is not None and touched and not _started_by(book, request, touched):
        accounts = {_start(store, book, request, replaces=touched, tags=tags)}
    else:
        refuse_other_levels(request.level, map(book.account, touched))
        if request.level == OF_UNITS:
            refuse_other_units(store, book, map(book.account, touched), request.units)
            accounts = _side_by_side(store, book, request, touched, unknown)
        else:
            accounts = {_as_one(store, book, request, touched, unknown)}
    for number in sorted(accounts):
        store.add(_opened(number, request))
    return tuple(sorted(accounts))


def shares_of(store: LedgerStore, book: Book, request: AccountRequest, accounts: Iterable[int]) -> dict[int, float]:
    """How often records of each account are drawn at most, compared to those drawn most; only shares below 1."""
    if not request.shares:
        return {}
    keyed = {store.tag(tag): request.shares.get(tag, 1.0) for tag in request.tags}
    found = dict.fromkeys((book.account(number).number for number in accounts), 0.0)
    for tag, number in store.accounts_of(sorted(keyed)).items():
        found[number] = max(found.get(number, 0.0), keyed[tag])
    return {number: share for number, share in found.items() if share < 1}


def _side_by_side(
    store: LedgerStore, book: Book, request: AccountRequest, touched: set[int], unknown: list[bytes]
) -> set[int]:
    """Known accounts as they are, and a new one for what is new."""
    joining = _of_known_units(store, book, request)
    for number, tags in joining.items():
        store.join(number, sorted(tags))
    of_known = set().union(*joining.values())
    fresh = [tag for tag in unknown if tag not in of_known]
    accounts = {book.account(number).number for number in (*touched, *joining)}
    return accounts | ({_start(store, book, request, tags=fresh)} if fresh else set())


def _of_known_units(store: LedgerStore, book: Book, request: AccountRequest) -> dict[int, set[bytes]]:
    """What has to join which account: the rest of its unit lies there. Accounts that share a unit become one."""
    units = [store.tags(unit) for unit in request.units]
    known = store.accounts_of(sorted({tag for unit in units for tag in unit}))
    for unit in units:
        _merge(store, book, {known[tag] for tag in unit if tag in known})
    joining: dict[int, set[bytes]] = defaultdict(set)
    for unit in units:
        theirs = {book.account(known[tag]).number for tag in unit if tag in known}
        for number in theirs:
            joining[number] |= {tag for tag in unit if tag not in known}
    return {number: tags for number, tags in sorted(joining.items()) if tags}


def _as_one(store: LedgerStore, book: Book, request: AccountRequest, touched: set[int], unknown: list[bytes]) -> int:
    if not touched:
        return _start(store, book, request, tags=unknown)
    number = _merge(store, book, touched)
    if unknown:
        store.join(number, unknown)
    return number


def _merge(store: LedgerStore, book: Book, numbers: Iterable[int]) -> int:
    """One account of some; its number, 0 where there is none."""
    first, *others = sorted({book.account(number).number for number in numbers}) or [0]
    if others:
        store.add(Merged(first, tuple(others)))
    return first


def _start(
    store: LedgerStore, book: Book, request: AccountRequest, *, tags: list[bytes], replaces: Iterable[int] = ()
) -> int:
    number = book.next_account()
    # what is appended in a run that started afresh belongs to it when the run is restarted
    store.add(Started(number, tuple(sorted(replaces)), request.new_account if replaces else None, request.run))
    store.join(number, tags)
    return number


def _started_by(book: Book, request: AccountRequest, touched: set[int]) -> bool:
    """This run has started afresh before, with the same reason: a service is restarted with its command line."""
    return any((request.run, request.new_account) in book.account(number).started_by for number in touched)


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
