"""Rounds of which a node learns only what all senders contributed together; see `protection`.

    all senders heard, all contribute ──> the sum will come: wait for it
    all heard, and one does not contribute ──> no sum will come: the round is skipped, all are absent
    one is not heard, also since its link is lost ──> wait for it until the deadline: then the same

A sum over some of them would be a wrong average, or none at all: masks cancel only together. So a node that is gone for
good stops the averages of its neighbors, who train on by themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

from gossipfl.core.events import Heard, Received, Summed
from gossipfl.core.protocols.own import Contribution
from gossipfl.core.protocols.rounds import EARLY_ROUNDS
from gossipfl.core.vector import P


class Sums(Generic[P]):
    """The present round's sum, and those that came early."""

    def __init__(self) -> None:
        self._means: dict[int, P | None] = {}

    def add(self, event: Summed[P], present: int) -> None:
        """Keeps the first of a round, not late ones, and of early ones the newest few."""
        if event.round < present:
            return
        self._means.setdefault(event.round, event.mean)
        for number in sorted(key for key in self._means if key > present)[:-EARLY_ROUNDS]:
            del self._means[number]

    def close(self, before: int) -> None:
        """Forgets all rounds before the given one."""
        for number in [key for key in self._means if key < before]:
            del self._means[number]

    def is_awaited(self, number: int, senders: Sequence[str], heard: Mapping[str, Received[P] | Heard]) -> bool:
        """Whether the sum of a round, of which nobody else is waited for, is still to come."""
        if number in self._means:
            return False
        return all(_contributes(heard.get(name)) for name in senders)

    def contributions(
        self, number: int, weights: Mapping[str, float], heard: Mapping[str, Received[P] | Heard]
    ) -> dict[str, Contribution[P]]:
        """The mean of all senders in the place of each, since Σ w_j (x_j − x) = Σ w_j (mean − x); none without a sum.

        Args:
            weights: of the senders.
        """
        mean = self._means.get(number)
        if mean is None or any(name not in heard for name in weights):
            return {}
        return {name: Contribution(weight, mean, heard[name].header) for name, weight in weights.items()}


def _contributes(word: Received[P] | Heard | None) -> bool:
    return isinstance(word, Heard) and word.contributes
