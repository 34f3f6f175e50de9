"""ε of a long run's planned steps, computed once and looked up ever after.

    what other runs spent  +  k planned steps  ──>  ε at the next point of a grid ≥ k

    grid: points 6% of steps apart, which is 3% of an ε that grows as √k, and 6% of a large one; the planned end is on
    it, so that there ε is the accountant's own

Kept in memory only: whoever could alter a file of it would lower ε without touching the ledger. 100,000 steps take
seven CPU-seconds by `prv`, a look a microsecond.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gossipfl.privacy.accounting import Charge, bound

FEW = 64
"""Phases whose ε is computed at the end of each: a curve would have no fewer points."""
RATIO = 1.06
BEYOND = 1.05
"""The grid goes a little on: steps that a crash has lost are done again."""

Kind = tuple[float, float]
"""(sample_rate, noise_multiplier)"""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run is going to charge.

    Attributes:
        before: steps by kind that others have charged.
        kind: of the run's own steps.
        steps: of them.
        every: steps after which ε is looked up.
    """

    before: Mapping[Kind, int]
    kind: Kind
    steps: int
    every: int


class EpsilonCurve:
    """ε of one plan at one δ.

    Args:
        planned: the run.
        delta: in (0, 1).
        accountant: name from `ACCOUNTANTS`.
    """

    def __init__(self, planned: Planned, delta: float, accountant: str) -> None:
        self._planned = planned
        self._delta = delta
        self._accountant = accountant
        self._others = {kind: steps for kind, steps in planned.before.items() if kind != planned.kind}
        self._start = planned.before.get(planned.kind, 0)
        self._grid = tuple(_grid(planned.steps, planned.every))
        self._epsilons: dict[int, float] = {}

    @property
    def points(self) -> int:
        """Of the grid."""
        return len(self._grid)

    def compute(self) -> None:
        """Computes all of it at once; else each point is computed when it is first looked up."""
        for place in range(len(self._grid)):
            self._at(place)

    def at(self, tally: Mapping[Kind, int]) -> float | None:
        """An upper bound of ε, at most 6% above the accountant's from the first phase on; None beyond the plan.

        Guarantees:
            Never falls as the run's steps grow.
        """
        own = tally.get(self._planned.kind, 0) - self._start
        others = {kind: steps for kind, steps in tally.items() if kind != self._planned.kind}
        if own < 0 or others != self._others or own > self._grid[-1]:
            return None
        return self._at(bisect_left(self._grid, own))

    def _at(self, place: int) -> float:
        if place not in self._epsilons:
            counts = {**self._others, self._planned.kind: self._start + self._grid[place]}
            charges = [Charge(*kind, steps) for kind, steps in counts.items()]
            self._epsilons[place] = bound(charges, self._delta, self._accountant).epsilon
        return self._epsilons[place]


def _grid(steps: int, every: int) -> Iterator[int]:
    """Counts of steps, rising, `steps` among them."""
    yield 0
    counts = [steps]
    while counts[-1] > every:
        counts.append(min(counts[-1] - 1, int(counts[-1] / RATIO)))
    yield from reversed(counts)
    # at least two phases more, done again after a crash
    yield from (steps + every, max(steps + 2 * every, int(steps * BEYOND)))
