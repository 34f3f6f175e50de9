"""Whom to ask next."""

import numpy as np

from gossipfl.core.swim.members import Members
from gossipfl.core.swim.standing import Standing

URGENT = 4
"""Members asked out of turn in a tick."""
REVIVAL = 4
"""Every so many ticks one that is down is asked: it may be back, or the network was cut in two."""


class Turns:
    """Each member once in a lap, in an order drawn anew for each; the urgent ones besides.

    So every member is asked within 2(n − 1) ticks of the last time (Das, Gupta & Motivala 2002, 4.3).
    """

    def __init__(self, members: Members, rng: np.random.Generator) -> None:
        self._members = members
        self._rng = rng
        self._lap: list[str] = []

    def targets(self, tick: int, contacts: list[str]) -> list[str]:
        """Whom to ask in a tick: the next in turn, whoever is doubted or new, now and then one that is down.

        Args:
            contacts: who may be there, though no card of theirs is known.
        """
        chosen = [self._next(), *self._urgent()]
        if tick % REVIVAL == 0 or not self._members.taking_part():
            gone = [member.card.name for member in self._members if member.standing is Standing.DOWN]
            met = [name for name in contacts if name not in self._members]
            chosen += self.some(gone + met, 1)
        return list(dict.fromkeys(name for name in chosen if name is not None))

    def some(self, names: list[str], most: int) -> list[str]:
        """Some of them, drawn."""
        return [names[place] for place in self._rng.permutation(len(names))[:most]]

    def _next(self) -> str | None:
        while True:
            if not self._lap:
                names = self._members.taking_part()
                self._lap = self.some(names, len(names))
                if not self._lap:
                    return None
            member = self._members.get(name := self._lap.pop())
            if member is not None and member.standing.takes_part:
                return name

    def _urgent(self) -> list[str]:
        waiting = [(each.asked, each.card.name) for each in self._members if each.is_urgent]
        return [name for _, name in sorted(waiting)[:URGENT]]
