"""What a node knows of its neighbors' progress, and when it may leave.

leave  ⇔  settled  and  each neighbor's last word was `settled`, or it has been silent for linger_s
"""

import math
from collections.abc import Collection

from gossipfl.core.events import Finish, SetTimer
from gossipfl.core.messages import Header
from gossipfl.core.protocol import Schedule

LINGER = "linger"
"""Timer of a settled node that waits for neighbors."""
_CLOCK_S = 1e-3
"""A timer may come this much early."""


def senders_to(name: str, schedule: Schedule) -> frozenset[str]:
    """Who ever sends to a node."""
    if schedule.period is None:
        return frozenset(schedule.neighbors(name))
    heard = {other for number in range(schedule.period) for other in schedule.row(name, number).weights}
    return frozenset(heard - {name})


class Neighborhood:
    """The last word of each neighbor and when it came; messages of anybody else are to be ignored."""

    def __init__(self, names: Collection[str], linger_s: float) -> None:
        self.names = tuple(sorted(names))
        self._unsettled = set(names)
        self._linger_s = linger_s
        self._headers: dict[str, Header] = {}
        self._heard: dict[str, float] = {}
        self._down: set[str] = set()
        self._waiting_since = -math.inf
        self._timer_runs = False
        self._finished = False
        self._told_all = False

    def heard(self, name: str, header: Header, now: float) -> None:
        """Notes a message."""
        self._headers[name] = header
        self._heard[name] = now
        if header.settled:
            self._unsettled.discard(name)
        else:
            self._unsettled.add(name)

    def become(self, names: Collection[str], now: float) -> None:
        """Other neighbors from now on; what is known of those that stay is kept, silence of the new begins to count."""
        for name in {*self.names} - {*names}:
            self._unsettled.discard(name)
            self._down.discard(name)
            self._headers.pop(name, None)
            self._heard.pop(name, None)
        for name in {*names} - {*self.names}:
            self._unsettled.add(name)
            self._heard[name] = now
        self.names = tuple(sorted(names))

    def up(self, name: str) -> None:
        """Notes that a link is open."""
        self._down.discard(name)

    def down(self, name: str) -> None:
        """Notes that a link is lost."""
        # a neighbor that is none any more may lose it late
        if name in self.names:
            self._down.add(name)

    def is_down(self, name: str) -> bool:
        """Whether the link was lost and did not come back; False before it first opens."""
        return name in self._down

    def audience(self, receivers: tuple[str, ...], *, settled: bool) -> tuple[str, ...]:
        """The receivers; of a settled node, the first time, all neighbors besides: nobody has to linger for it."""
        if not settled or self._told_all:
            return receivers
        self._told_all = True
        return (*receivers, *(name for name in self.names if name not in receivers))

    def header(self, name: str) -> Header | None:
        """The neighbor's last word."""
        return self._headers.get(name)

    def wait_from(self, now: float) -> None:
        """From the first call on silence counts: this node has nothing to do but to wait for its neighbors."""
        if self._waiting_since == -math.inf:
            self._waiting_since = now

    def reachable(self, now: float) -> list[str]:
        """Neighbors that were heard, or waited for, less than `linger_s`."""
        return [name for name in self.names if self._patience_s(name, now) > _CLOCK_S]

    def awaited(self, now: float) -> list[str]:
        """Reachable neighbors whose link is not lost: something may come any moment."""
        return [name for name in self.reachable(now) if name not in self._down]

    def missing(self, now: float) -> list[str]:
        """Reachable neighbors whose link is lost before their last word was `settled`: they may come back."""
        return [name for name in self.reachable(now) if name in self._down and name in self._unsettled]

    def leave(self, now: float) -> list[SetTimer | Finish]:
        """Effects of being settled: timers, then `Finish` once when nobody needs this node any more.

        Call it after every event of a settled node.
        """
        self.wait_from(now)
        if self._finished:
            return []
        patience_s = max((self._patience_s(name, now) for name in self._unsettled), default=0.0)
        if patience_s <= _CLOCK_S:
            self._finished = True
            return [Finish()]
        if self._timer_runs:
            return []
        self._timer_runs = True
        return [SetTimer(LINGER, patience_s)]

    def linger_over(self) -> None:
        """Notes that the timer came due; `leave` sets another if somebody was heard meanwhile."""
        self._timer_runs = False

    def _patience_s(self, name: str, now: float) -> float:
        return max(self._heard.get(name, -math.inf), self._waiting_since) + self._linger_s - now
