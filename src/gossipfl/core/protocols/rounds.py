"""States of neighbors by exchange round: the present one, and a few that came early."""

from collections.abc import Iterable, Mapping
from typing import Generic

from gossipfl.core.events import Heard, Received
from gossipfl.core.vector import P

EARLY_ROUNDS = 2
"""Future rounds kept of one neighbor; without loss, where all hear each other in every round, it sends one at most."""
EARLY_ONE_WAY_ROUNDS = 8
"""The same where a neighbor may send without hearing this node: it can be as far ahead as the way round is long."""

Word = Received[P] | Heard
"""A state of a round, or the word that it is in the round's sum, or that there is none."""


class Rounds(Generic[P]):
    """Buffers at most the present and `early` future states of each neighbor."""

    def __init__(self, names: Iterable[str], early: int = EARLY_ROUNDS) -> None:
        self._early = early
        self._rounds: dict[int, dict[str, Word[P]]] = {}
        self._newest: dict[str, int] = dict.fromkeys(names, -1)

    def note(self, event: Word[P]) -> None:
        """Keeps how far the sender is."""
        self._newest[event.sender] = max(self._newest[event.sender], event.header.round)

    def add(self, event: Word[P], present: int) -> None:
        """Keeps the first state of a sender and round, not late ones, and of early ones the newest `early`."""
        number = event.header.round
        # late: its round was mixed without it
        if number < present:
            return
        self._rounds.setdefault(number, {}).setdefault(event.sender, event)
        if number > present and len(self._rounds) > self._early:
            kept = sorted(key for key, states in self._rounds.items() if key > present and event.sender in states)
            for key in kept[: -self._early]:
                del self._rounds[key][event.sender]

    def close(self, before: int) -> None:
        """Forgets all rounds before the given one."""
        for number in [key for key in self._rounds if key < before]:
            del self._rounds[number]

    def of(self, number: int) -> Mapping[str, Word[P]]:
        """The states of a round that are here, by neighbor."""
        return self._rounds.get(number, {})

    def newest(self, name: str) -> int:
        """The highest round heard of a neighbor; -1 before any."""
        return self._newest[name]

    def ahead(self, number: int) -> list[str]:
        """Neighbors that were heard of a later round."""
        return [name for name, newest in self._newest.items() if newest > number]
