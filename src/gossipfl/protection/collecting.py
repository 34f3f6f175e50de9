"""A receiver's sums: every share is added when it comes, and a sum is told when all senders are in it.

    share ──> round ──> roster ──> running total, who is in it        all senders in one total: their weighted mean

Shares of two rosters do not cancel. A round in which a sender was restarted may have both: then nobody ever learns it.
"""

from dataclasses import dataclass, field

import numpy as np

from gossipfl.core.events import Summed
from gossipfl.core.fixed_point import Words
from gossipfl.core.validation import check_state
from gossipfl.errors import MessageError
from gossipfl.protection.terms import Terms
from gossipfl.state import AdapterState

_EARLY = 2
"""Rounds ahead of the present one that are kept."""
_ROSTERS = 2
"""Of one round that are kept."""


@dataclass(slots=True)
class Total:
    """Shares that belong together.

    Attributes:
        words: their sum.
        names: whose they are.
    """

    words: Words
    names: set[str] = field(default_factory=set)


class Totals:
    """Those of the present round and of early ones."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._rounds: dict[int, dict[bytes, Total]] = {}

    def add(self, sender: str, round: int, roster: bytes, share: Words, present: int) -> list[Summed[AdapterState]]:
        """Adds a share; the sum of its round, once that is known or known to be none.

        Args:
            present: round that the node is in: earlier ones are over.
            What no states within the bounds can add up to is no sum.
        """
        if round < present:
            return []
        self._forget(present)
        totals = self._rounds.setdefault(round, {})
        self._make_room(present)
        if roster not in totals and len(totals) >= _ROSTERS:
            return []
        total = totals.setdefault(roster, Total(np.zeros_like(share)))
        if sender in total.names:
            return []
        total.words += share
        total.names.add(sender)
        if len(total.names) == len(self._terms.senders):
            self._rounds.pop(round, None)
            return [Summed(round, mean_of(self._terms, total.words))]
        everybody = set().union(*(each.names for each in totals.values()))
        return [Summed(round, None)] if len(everybody) == len(self._terms.senders) else []

    def _forget(self, present: int) -> None:
        for number in [key for key in self._rounds if key < present]:
            del self._rounds[number]

    def _make_room(self, present: int) -> None:
        for number in sorted(key for key in self._rounds if key > present)[:-_EARLY]:
            del self._rounds[number]


def mean_of(terms: Terms, words: Words) -> AdapterState | None:
    """The weighted mean of a node's senders, of what all of them add up to; None: no states within the bounds do."""
    weights = terms.weights(terms.me)
    mean = terms.ring.mean(words, sum(weights.values()), len(weights))
    if mean is None:
        return None
    state = AdapterState(terms.spec, mean)
    try:
        check_state(state, peer=terms.me, max_norm=terms.max_norm)
    except MessageError:
        return None
    return state
