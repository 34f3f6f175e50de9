"""ε of several accounts that pay for the same steps: of the one that has paid most.

A record lies in one account, and its ε is that account's. What one of them refuses is refused.
"""

from collections.abc import Mapping, Sequence

from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.curve import Kind, Planned
from gossipfl.privacy.meter import EpsilonMeter

Tally = Mapping[Kind, int]


class EpsilonMeters:
    """A meter an account; see `EpsilonMeter` for arguments and methods.

    Accounts none of which has fewer steps of any kind than another need no meter but that one's.
    """

    def __init__(self, delta: float, accountant: str = "prv", target: float | None = None) -> None:
        self._terms = delta, accountant, target
        self._meters: dict[int, EpsilonMeter] = {}

    def plan(self, before: Mapping[int, Tally], charge: Charge, *, every: int) -> None:
        """Computes ε of a long run at once, for every account that may be the one to decide.

        Args:
            before: what other runs have charged, by account.
            charge: all steps of the run.
            every: steps after which a receipt is asked for.
        """
        kind = charge.sample_rate, charge.noise_multiplier
        for number in deciding(before):
            self._meter(number).plan(Planned(before[number], kind, charge.steps, every))

    def epsilon(self, tallies: Mapping[int, Tally]) -> float:
        """The largest; 0 of none."""
        return max((self._meter(number).epsilon(tallies[number]) for number in deciding(tallies)), default=0.0)

    def admit(self, tallies: Mapping[int, Tally], charge: Charge) -> float:
        """An upper bound of the largest with `charge` on top.

        Raises:
            BudgetSpentError: some account cannot pay.
        """
        return max(self._meter(number).admit(tallies[number], charge) for number in deciding(tallies))

    def _meter(self, number: int) -> EpsilonMeter:
        return self._meters.setdefault(number, EpsilonMeter(*self._terms))


def deciding(tallies: Mapping[int, Tally]) -> Sequence[int]:
    """The accounts but those that have paid nothing that another has not paid as well; of equals the first."""
    found: list[int] = []
    for number in sorted(tallies, key=lambda number: (-sum(tallies[number].values()), number)):
        if not any(_covers(tallies[other], tallies[number]) for other in found):
            found.append(number)
    return found


def _covers(most: Tally, few: Tally) -> bool:
    return all(most.get(kind, 0) >= steps for kind, steps in few.items())
