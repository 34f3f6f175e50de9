"""States of neighbors by exchange round: the present one, and a few that came early."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from gossipfl.core.events import Header, P, Received

EARLY_ROUNDS = 2
"""Future rounds kept of one neighbor; without loss, where all hear each other in every round, it sends one at most."""
EARLY_ONE_WAY_ROUNDS = 8
"""The same where a neighbor may send without hearing this node: it can be as far ahead as the way round is long."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[P]):
    """One neighbor's state for one round."""

    state: P
    header: Header


class Rounds(Generic[P]):
    """Buffers at most the present and `early` future states of each neighbor.

    Attributes:
        lead: the highest round heard of anybody; -1 before any.
    """

    def __init__(self, names: Iterable[str], early: int = EARLY_ROUNDS) -> None:
        self._early = early
        self._entries: dict[str, dict[int, Entry[P]]] = {name: {} for name in names}
        self._newest: dict[str, int] = dict.fromkeys(self._entries, -1)
        self.lead = -1

    def note(self, event: Received[P]) -> None:
        """Keeps how far the sender is."""
        number = event.header.round
        self._newest[event.sender] = max(self._newest[event.sender], number)
        self.lead = max(self.lead, number)

    def add(self, event: Received[P], present: int) -> None:
        """Keeps the first state of a sender and round, not late ones, and of early ones the newest `early`."""
        number, entries = event.header.round, self._entries[event.sender]
        # late: its round was mixed without it
        if number < present:
            return
        entries.setdefault(number, Entry(event.state, event.header))
        if len(entries) <= self._early:
            return
        early = sorted(key for key in entries if key > present)
        for key in early[: -self._early]:
            del entries[key]

    def close(self, before: int) -> None:
        """Forgets all rounds before the given one."""
        for entries in self._entries.values():
            if entries:
                for number in [key for key in entries if key < before]:
                    del entries[number]

    def entry(self, name: str, number: int) -> Entry[P] | None:
        """The neighbor's state for a round, if it is here."""
        return self._entries[name].get(number)

    def newest(self, name: str) -> int:
        """The highest round heard of a neighbor; -1 before any."""
        return self._newest[name]
