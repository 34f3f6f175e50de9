"""Accounts as they were opened for some records: what a run charges, and against what it holds ε."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipfl.privacy.ledger_opening import AccountRequest, settle, shares_of
from gossipfl.privacy.ledger_store import LedgerStore
from gossipfl.privacy.meters import EpsilonMeters

TOLERANCE = 1e-9
"""Relative excess over the target that counts as none, so that a plan which meets its target exactly can finish."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Accounts as they were opened for some records.

    Attributes:
        request: on what terms.
        numbers: of the accounts.
        last_account, last_entry: of the ledger at the time.
        shares: of accounts whose records are drawn more seldom, see `AccountRequest.shares`.
        meters: of ε, on these terms.
        sealed: why nothing may be charged any more; empty: it may.
    """

    request: AccountRequest
    numbers: tuple[int, ...]
    last_account: int
    last_entry: int
    shares: Mapping[int, float]
    meters: EpsilonMeters = field(compare=False)
    sealed: str = ""


def opened(store: LedgerStore, request: AccountRequest) -> Opening:
    """Goes on with the accounts of these records, or starts some; durable on return.

    Raises:
        LedgerError, PrivacyError: see `ledger.open_account`.
    """
    target = None if request.target_epsilon is None else request.target_epsilon * (1 + TOLERANCE)
    meters = EpsilonMeters(request.delta, request.accountant, target)
    with store.transaction() as book:
        accounts = settle(store, book, request)
        shares = shares_of(store, book, request, accounts)
        return Opening(request, accounts, book.next_account() - 1, book.last.seq, shares, meters)
