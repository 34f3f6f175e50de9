"""The account of a simulated node whose data comes in periods: each pays at its own rate, as in a ledger.

    period      0      1            a step charges each period at q · share; ε is that of the one that has paid most
    share       ¼      1

As `SimulatedAccount` it protects nobody, and is not durable.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge, merge
from gossipfl.privacy.simulated_account import SimulatedAccount


class PeriodAccount:
    """Charges of one simulated node, by period; see `Account` for what its methods promise, but for durability.

    Args:
        delta: δ at the beginning.
        accountant: name from `ACCOUNTANTS`.
        target: ε that must not be exceeded; None: no bound.
    """

    def __init__(self, delta: float, accountant: str, target: float | None) -> None:
        self._terms = accountant, target
        self._delta = delta
        self._steps = 0
        self._shares: tuple[float, ...] = (1.0,)
        self._parts = [SimulatedAccount(delta, accountant, target)]

    def take_in(self, shares: Sequence[float], delta: float) -> None:
        """Goes on with more periods.

        Args:
            shares: of each, how often its units are drawn at most, compared to those drawn most.
            delta: δ for all units.
        """
        self._set(self._steps, shares, delta, [part.state() for part in self._parts])
        for part in self._parts:
            # at another δ what was paid before is another ε
            tally, bound = part.state()
            part.restore((tally, max(bound, part.epsilon())))

    def charge(self, charge: Charge) -> Receipt:
        """Counts steps; refuses what the target does not allow, for any period that would pay."""
        before = [part.state() for part in self._parts]
        try:
            for part, share in zip(self._parts, self._shares, strict=True):
                if share:
                    part.charge(replace(charge, sample_rate=charge.sample_rate * share))
        except BaseException:
            for part, state in zip(self._parts, before, strict=True):
                part.restore(state)
            raise
        self._steps += charge.steps
        return self.receipt()

    def receipt(self) -> Receipt:
        """See `SimulatedAccount.receipt`."""
        epsilon = max(part.receipt().epsilon for part in self._parts)
        return Receipt(steps=self._steps, charges=self._steps, epsilon=epsilon, delta=self._delta)

    @property
    def steps(self) -> int:
        """That were charged, whoever paid."""
        return self._steps

    def epsilon(self) -> float:
        """What would be spent, by the period that has paid most."""
        return max(part.epsilon() for part in self._parts)

    def charges(self) -> tuple[Charge, ...]:
        """All of them, equal ones merged."""
        return merge(charge for part in self._parts for charge in part.charges())

    def require(self, receipt: Receipt) -> None:
        """Refuses a receipt for more steps than were charged."""
        if receipt.steps > self._steps:
            raise PrivacyError(f"a receipt names {receipt.steps} steps, {self._steps} were charged")

    def state(self) -> tuple[Any, ...]:
        """All that changes, for a checkpoint."""
        return self._steps, self._shares, self._delta, [part.state() for part in self._parts]

    def restore(self, state: tuple[Any, ...]) -> None:
        """Takes over what `state` gave."""
        self._set(*state)

    def _set(self, steps: int, shares: Sequence[float], delta: float, states: Sequence[Any]) -> None:
        self._steps, self._shares, self._delta = steps, tuple(shares), delta
        self._parts = [SimulatedAccount(delta, *self._terms) for _ in shares]
        for part, state in zip(self._parts, states, strict=False):
            part.restore(state)
