"""ε while it grows: decides before each of thousands of steps at a cost of microseconds.

0. every step takes every unit                    the exact formula decides, for next to nothing
1. Rényi bound of this very step ≤ target         it fits, for next to nothing
2. steps ≤ the last count known to fit            it fits, by monotonicity
3. ask the accountant some steps ahead, bisecting between what fits and what does not

What is spent is looked up on the curve of the plan (`EpsilonCurve`); steps beyond it count by Rényi until a new plan is
made, which is whenever a node starts.
"""

from collections.abc import Mapping

from gossipfl.errors import BudgetSpentError
from gossipfl.privacy.accounting import Charge, bound
from gossipfl.privacy.curve import FEW, EpsilonCurve, Kind, Planned

AHEAD = 16
"""A question asked ahead covers 1/16 more steps than there are."""


class EpsilonMeter:
    """ε of tallies (steps by kind) at one δ, against one target; keeps the plan, and what it has calculated before.

    Args:
        delta: in (0, 1).
        accountant: name from `ACCOUNTANTS`.
        target: ε that must not be exceeded; None: no bound.
    """

    def __init__(self, delta: float, accountant: str = "prv", target: float | None = None) -> None:
        self._delta = delta
        self._accountant = accountant
        self._target = target
        self._context: tuple[Kind, frozenset[tuple[Kind, int]]] | None = None
        self._fits, self._epsilon = 0, 0.0
        self._fails: int | None = None
        self._curve: EpsilonCurve | None = None

    def plan(self, planned: Planned) -> None:
        """Computes ε of a long run at once, and looks it up from now on.

        For few phases, and for accountants and steps that are quick anyway, nothing changes.
        """
        quick = self._accountant == "rdp" or all(rate == 1 for rate, _ in (*planned.before, planned.kind))
        if quick or planned.steps <= FEW * planned.every:
            return
        self._curve = EpsilonCurve(planned, self._delta, self._accountant)
        self._curve.compute()

    def epsilon(self, tally: Mapping[Kind, int]) -> float:
        """ε of the tally: by the curve of the plan, if there is one, else as `accounting.epsilon` gives it.

        Without a plan tens of milliseconds when it is asked for the first time.
        """
        if self._curve is None:
            return self._bound(tally, self._accountant)
        planned = self._curve.at(tally)
        return self._bound(tally, "rdp") if planned is None else planned

    def admit(self, tally: Mapping[Kind, int], charge: Charge) -> float:
        """An upper bound of ε of the tally with `charge` on top, at most the target; a millisecond a step on average.

        Raises:
            BudgetSpentError: `accounting.epsilon` with the charge is above the target.
        """
        kind = (charge.sample_rate, charge.noise_multiplier)
        after = {**tally, kind: tally.get(kind, 0) + charge.steps}
        exact = all(rate == 1 for rate, _ in after)
        quick = self._bound(after, self._accountant if exact else "rdp")
        if self._target is None or quick <= self._target:
            return quick
        value = quick if exact or self._accountant == "rdp" else self._ask(after, kind, self._target)
        if value > self._target:
            raise BudgetSpentError(
                f"target_epsilon {self._target:g} is spent on this data: the next {charge.steps} step(s) would make "
                f"it {value:.4g} at delta {self._delta:g}"
            )
        return value

    def _ask(self, tally: Mapping[Kind, int], kind: Kind, target: float) -> float:
        """ε at this count of `kind` or some steps later; remembers which counts fit as long as the rest is equal."""
        self._remember_only(tally, kind)
        steps = tally[kind]
        if steps <= self._fits:
            return self._epsilon
        ahead = steps + steps // AHEAD
        if self._fails is not None:
            ahead = min(ahead, max(steps, (steps + self._fails) // 2))
        for asked in sorted({ahead, steps}, reverse=True):
            value = self._bound({**tally, kind: asked}, self._accountant)
            if value <= target:
                self._fits, self._epsilon = asked, value
                return value
            self._fails = asked
        return value

    def _remember_only(self, tally: Mapping[Kind, int], kind: Kind) -> None:
        context = (kind, frozenset((other, steps) for other, steps in tally.items() if other != kind))
        if context != self._context:
            self._context, self._fits, self._fails = context, 0, None

    def _bound(self, tally: Mapping[Kind, int], accountant: str) -> float:
        return bound([Charge(*kind, steps) for kind, steps in tally.items()], self._delta, accountant).epsilon
