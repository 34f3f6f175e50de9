"""The only way for a state to become publishable.

    state + receipt ── covered by the account? ── shared segments ──> Publishable

A test walks the source: nothing else in gossipfl makes a `Publishable`.
"""

from typing import TypeVar, cast

from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.vector import Vector
from gossipfl.privacy.account import Account
from gossipfl.state import AdapterState

P = TypeVar("P", bound=Vector)


class Publisher:
    """Clears states for publication against the account that paid for the steps inside them."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def clear(self, state: P, receipt: Receipt) -> Publishable[P]:
        """The part of a state that may leave the node; `core.messages.Clear`.

        Guarantees:
            Private segments are not in it, nor in anything that is made of it.

        Raises:
            PrivacyError: the account does not cover the receipt.
        """
        self._account.require(receipt)
        shared = cast("P", state.sharing()) if isinstance(state, AdapterState) else state
        return Publishable(shared, receipt)
