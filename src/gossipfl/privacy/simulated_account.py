"""The account of a simulated node: in memory, for seeded noise that protects nobody.

A simulation asks what a run would cost; what it does costs nothing. So nothing is durable here, no ledger of real data
is touched, and every result made with it says that it is not private.
"""

from gossipfl.core.messages import Receipt
from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.curve import Kind
from gossipfl.privacy.meter import EpsilonMeter

TOLERANCE = 1e-6
"""A calibrated plan may end this much above its target, by rounding."""


class SimulatedAccount:
    """Charges of one simulated node; see `Account` for what its methods promise, but for durability.

    Args:
        delta: δ.
        accountant: name from `ACCOUNTANTS`.
        target: ε that must not be exceeded; None: no bound.
    """

    def __init__(self, delta: float, accountant: str, target: float | None) -> None:
        self._delta = delta
        self._meter = EpsilonMeter(delta, accountant, None if target is None else target * (1 + TOLERANCE))
        self._tally: dict[Kind, int] = {}
        self._bound = 0.0

    def charge(self, charge: Charge) -> Receipt:
        """Counts steps; refuses what the target does not allow."""
        kind = (charge.sample_rate, charge.noise_multiplier)
        self._bound = self._meter.admit(self._tally, charge)
        self._tally[kind] = self._tally.get(kind, 0) + charge.steps
        return self.receipt()

    def receipt(self) -> Receipt:
        """ε here is an upper bound, at most the target; `epsilon` computes it exactly, in tens of milliseconds."""
        steps = sum(self._tally.values())
        return Receipt(steps=steps, charges=steps, epsilon=self._bound, delta=self._delta)

    @property
    def steps(self) -> int:
        """That were charged."""
        return sum(self._tally.values())

    def epsilon(self) -> float:
        """What would be spent."""
        return self._meter.epsilon(self._tally) if self._tally else 0.0

    def charges(self) -> tuple[Charge, ...]:
        """All of them, equal ones merged."""
        return tuple(Charge(*kind, steps) for kind, steps in self._tally.items())

    def require(self, receipt: Receipt) -> None:
        """Refuses a receipt for more steps than were charged."""
        held = sum(self._tally.values())
        if receipt.steps > held:
            raise PrivacyError(f"a receipt names {receipt.steps} steps, {held} were charged")

    def state(self) -> tuple[dict[Kind, int], float]:
        """All that changes, for a checkpoint."""
        return dict(self._tally), self._bound

    def restore(self, state: tuple[dict[Kind, int], float]) -> None:
        """Takes over what `state` gave."""
        self._tally, self._bound = dict(state[0]), state[1]


class PaidElsewhere:
    """Stands for a simulated account in another process: covers the last receipt that came from there."""

    def __init__(self) -> None:
        self._last = Receipt()

    def note(self, receipt: Receipt) -> None:
        """Takes over what the account has said."""
        self._last = receipt

    def charge(self, charge: Charge) -> Receipt:
        """Nobody charges here."""
        raise PrivacyError(f"{charge.steps} steps are to be charged where the account is")

    def receipt(self) -> Receipt:
        """The last one."""
        return self._last

    def charges(self) -> tuple[Charge, ...]:
        """None are known here."""
        return ()

    def require(self, receipt: Receipt) -> None:
        """Refuses a receipt for more steps than the last one named."""
        if receipt.steps > self._last.steps:
            raise PrivacyError(f"a receipt names {receipt.steps} steps, {self._last.steps} were charged elsewhere")
