"""Timers of all nodes. One that was set anew stays on the clock, and is told from the new one by its token."""

from collections.abc import Mapping
from typing import Generic

from gossipfl.core.events import SetTimer
from gossipfl.core.vector import P
from gossipfl.sim.body import Body
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import Happening, Ring

MANY = 4096
"""Timers that were set anew are dropped from the clock when there are more, and they are half of what is planned."""


class Timers(Generic[P]):
    """Sets and checks them; which of a node's are valid stands in its body.

    Attributes:
        counts: tokens given out, and timers on the clock that were set anew; all that changes here.
    """

    def __init__(
        self, clock: Clock[Happening[P]], bodies: Mapping[str, Body[P]], counts: tuple[int, int] = (0, 0)
    ) -> None:
        self._clock = clock
        self._bodies = bodies
        self._tokens, self._stale = counts

    @property
    def counts(self) -> tuple[int, int]:
        """For a checkpoint."""
        return self._tokens, self._stale

    def set(self, name: str, timer: SetTimer) -> None:
        """A timer of a node, in place of its old one of the same name."""
        body = self._bodies[name]
        self._tokens += 1
        self._stale += timer.name in body.timers
        body.timers[timer.name] = self._tokens
        self._clock.plan(self._clock.now + timer.delay_s, Ring(name, timer.name, self._tokens, body.life))
        if self._stale > MANY and 2 * self._stale > len(self._clock):
            self._clock.forget(self._is_stale)
            self._stale = 0

    def take(self, ring: Ring) -> bool:
        """Whether a timer that comes due is one that its node waits for; then it does no longer."""
        if self._is_stale(ring):
            self._stale -= 1
            return False
        body = self._bodies[ring.node]
        if body.up:
            del body.timers[ring.timer]
        return body.up

    def drop(self, name: str) -> None:
        """A node begins another life: none of its timers is valid any more."""
        body = self._bodies[name]
        self._stale += len(body.timers)
        body.timers = {}

    def _is_stale(self, happening: Happening[P]) -> bool:
        if not isinstance(happening, Ring):
            return False
        body = self._bodies[happening.node]
        return body.life != happening.life or body.timers.get(happening.timer) != happening.token
