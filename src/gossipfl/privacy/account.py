"""What a mechanism charges before it trains: the seam between noise and the ledger.

    charge ─> durable ─> step ─> receipt ─> publish

`LedgerAccount` (ledger.py) keeps the account of real data; `FreeAccount` stands for training without privacy.
"""

import math
from typing import Protocol

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge


class Account(Protocol):
    """What the steps on one node's data have cost so far. Safe to use from several threads."""

    def charge(self, charge: Charge) -> Receipt:
        """Charges steps that are about to be done; durable on return, so that a crash can only overstate ε.

        Guarantees:
            The receipt's ε is at least the true one and at most the target: computing it exactly at every step
            would cost more than the step. `receipt()` gives it exactly; take that one at the end of a phase.

        Raises:
            BudgetSpentError: ε after this charge would exceed the target; nothing was charged.
            LedgerError: the charge could not be made durable; the step must not be done.
        """
        ...

    def receipt(self) -> Receipt:
        """Covers everything charged so far; `steps` counts all steps this account has paid for.

        ε is exact, but in the middle of a long plan: there at most 6% above that, see `EpsilonCurve`.
        """
        ...

    def charges(self) -> tuple[Charge, ...]:
        """All that was ever charged for this data, equal charges merged; input of `noise_multiplier_for(spent=)`."""
        ...

    def require(self, receipt: Receipt) -> None:
        """Refuses a receipt that this account does not cover.

        Raises:
            PrivacyError: the receipt names more than was charged, or comes from another ledger.
        """
        ...


class FreeAccount:
    """Training without privacy: nothing is charged, nothing is kept, ε is infinite."""

    def __init__(self) -> None:
        self._receipt = Receipt(epsilon=math.inf)

    def charge(self, charge: Charge) -> Receipt:
        """Counts the steps of this process; never refuses."""
        self._receipt = Receipt(steps=self._receipt.steps + charge.steps, epsilon=math.inf)
        return self._receipt

    def receipt(self) -> Receipt:
        """Infinite ε at δ = 0."""
        return self._receipt

    def charges(self) -> tuple[Charge, ...]:
        """Nothing, ever."""
        return ()

    def require(self, receipt: Receipt) -> None:
        """Lets every receipt pass that does not claim privacy for its steps."""
        if receipt.steps and receipt.epsilon < math.inf:
            raise PrivacyError(
                f"a state with {receipt.steps} steps claims ε = {receipt.epsilon:.4g}, but privacy.level is none here"
            )
