"""alone: a node trains all its phases and leaves. It neither sends nor listens.

    train ─> state += increment ─> Train | Checkpoint ─> … ─> Finish

The lower line of every comparison: what a node reaches with its own data and the same steps. A phase counts as one
round in which nobody was there.
"""

from dataclasses import replace
from typing import Generic, assert_never

from gossipfl.core.events import (
    Effect,
    Event,
    Finish,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Rewired,
    ScheduleTick,
    SendFailed,
    Started,
    Stopped,
    Summed,
    TimerFired,
    Trained,
)
from gossipfl.core.protocol import Parts, Protocol, as_done
from gossipfl.core.protocols.own import OwnState
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P


class Alone(Generic[P]):
    """The protocol's state machine."""

    def __init__(self, parts: Parts[P]) -> None:
        # nobody's average is to be kept straight
        self._own = OwnState(replace(parts, work=as_done))

    @property
    def snapshot(self) -> Snapshot[P]:
        """The durable part of the machine's state, as it is now."""
        return self._own.snapshot

    def handle(self, event: Event[P], now: float) -> list[Effect[P]]:  # noqa: ARG002  # nothing depends on time
        """Effects of an event, in the order to perform them."""
        match event:
            case Started():
                return [self._own.train()] if self._own.may_train else [Finish()]
            case Trained():
                return self._keep(event) if self._own.answers(event) else []
            case Stopped():
                return [self._own.checkpoint()]
            case Received() | Heard() | Summed() | NeighborUp() | NeighborDown() | Rewired():
                return []
            case SendFailed() | TimerFired() | ScheduleTick():
                return []
            case _:
                assert_never(event)

    def _keep(self, event: Trained[P]) -> list[Effect[P]]:
        self._own.absorb(event)
        report = self._own.mix({}, {})
        if self._own.may_train:
            return [self._own.train(), self._own.checkpoint(), report]
        return [self._own.checkpoint(), report, Finish()]


def build(parts: Parts[P]) -> Protocol[P]:
    """The protocol for one node."""
    return Alone(parts)
