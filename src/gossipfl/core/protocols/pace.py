"""Nodes that count rounds of their own: what all protocols do alike in which nobody waits for anybody to train.

    train ─> meet ─> Train | Checkpoint | publish ─> …     then settle ─> leave

The next `Train` stands before `Checkpoint` and `Send`: training waits for neither disk nor network. Nothing is lost by
it: the steps are charged to the ledger as they are done, and a crash falls back to a checkpoint with all training that
was sent.

Settling. A node that trains no more mixes whenever it has heard since its own last publication all whom it could, or
after `deadline_s`, and publishes. Such a round is counted when every neighbor has counted at least as many: nobody runs
away from a neighbor that still trains, so late training reaches everybody. A neighbor that has been silent for
`linger_s` is left out of this; one whose link is lost is waited for as long, it may come back. After `settle_rounds`
counted rounds the node is settled; from then on it mixes what comes and publishes once for each message of an unsettled
neighbor, never for that of a settled one.

Where not every neighbor is heard in every round, one may not be heard for long: only one that is known to train holds
a round back from being counted, until it is heard to have trained to its end; and rounds that would not be counted wait
for the deadline. So a node may be settled before one that lags; it answers it all the same.

Termination. An unsettled node publishes for each phase and each settling round. The node that has counted fewest holds
back nobody but itself, so with fair loss the smallest count rises within a deadline; counts are bounded, so settling
ends. Messages of settled nodes answer messages of unsettled ones, so they end too; then silence ends in `Finish`.
"""

from dataclasses import replace
from typing import Generic
from typing import Protocol as Seam

from gossipfl.core.events import (
    Effect,
    Event,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    ScheduleTick,
    Send,
    SendFailed,
    SetTimer,
    Started,
    Stopped,
    Summed,
    TimerFired,
    Trained,
)
from gossipfl.core.messages import Header
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols.neighborhood import LINGER, Neighborhood, senders_to
from gossipfl.core.protocols.own import OwnState
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P

DEADLINE = "deadline"
"""Timer of a settling round, and of a node that cannot train yet."""


class Exchange(Seam[P]):
    """How a node's state meets its neighbors'."""

    @property
    def may_train(self) -> bool:
        """Whether the state, as it is, may be trained."""
        ...

    @property
    def hears_all(self) -> bool:
        """Whether each neighbor that ever sends to this node does so in every round."""
        ...

    def take(self, event: Received[P], header: Header) -> list[Send[P]]:
        """A neighbor's message; what is to be said to it at once, under a header like this one."""
        ...

    def train(self, event: Trained[P]) -> Report:
        """Adds a training phase, and mixes."""
        ...

    def mix(self) -> Report:
        """Mixes without training."""
        ...

    @property
    def has_met(self) -> bool:
        """Whether the round that ends now was one: it heard, or could hear, somebody."""
        ...

    def is_complete(self, awaited: list[str]) -> bool:
        """Whether nothing is to be waited for before the next mixing, of neighbors that may be heard any moment."""
        ...

    def publish(self, header: Header) -> list[Send[P]]:
        """The state as it is, to whom it concerns; of a settled node to all neighbors: nobody has to linger for it."""
        ...

    def welcome(self, name: str) -> list[Send[P]]:
        """What a neighbor has to know whose link came up."""
        ...


class OwnPace(Generic[P]):
    """The state machine around an exchange.

    Args:
        own: shared with the exchange.
        neighbors: shared with the exchange.
    """

    def __init__(self, parts: Parts[P], own: OwnState[P], neighbors: Neighborhood, exchange: Exchange[P]) -> None:
        self._parts = parts
        self._own = own
        self._neighbors = neighbors
        self._exchange = exchange
        self._hears = senders_to(parts.name, parts.schedule)
        self._settling = False
        self._waits_to_train = False

    @property
    def snapshot(self) -> Snapshot[P]:
        """The durable part of the machine's state, as it is now."""
        return self._own.snapshot

    @property
    def _settled(self) -> bool:
        return self._settling and self.snapshot.settle_rounds >= self._parts.gossip.settle_rounds

    def handle(self, event: Event[P], now: float) -> list[Effect[P]]:
        """Effects of an event, in the order to perform them."""
        effects = self._react(event, now)
        return effects + self._own.leave(self._neighbors, now) if self._settled else effects

    def _react(self, event: Event[P], now: float) -> list[Effect[P]]:  # noqa: PLR0911  # one case an event
        match event:
            case Started():
                return self._start(now)
            case Trained():
                return self._train_on(event, now) if self._own.answers(event) else []
            case Received():
                return self._receive(event, now)
            case TimerFired(name=name):
                return self._wake(name, now)
            case NeighborUp(name=name):
                self._neighbors.up(name)
                return list(self._exchange.welcome(name))
            case NeighborDown(name=name):
                self._neighbors.down(name)
                return self._settle(now)
            case Stopped():
                return [self._own.checkpoint()]
            # the next publication, or a deadline, makes up for a message that was lost; sums are for sync
            case SendFailed() | ScheduleTick() | Heard() | Summed():
                return []

    # ---- training ----

    def _start(self, now: float) -> list[Effect[P]]:
        # in the first life there is nothing to tell yet: nodes start alike
        resumed = self.snapshot.phase > 0 or self.snapshot.round > 0
        if self._own.may_train:
            return [*self._next_phase(), *(self._publish() if resumed else [])]
        return self._begin_settling(now)

    def _next_phase(self) -> list[Effect[P]]:
        self._waits_to_train = not self._exchange.may_train
        return [self._deadline()] if self._waits_to_train else [self._own.train()]

    def _train_on(self, event: Trained[P], now: float) -> list[Effect[P]]:
        report = self._exchange.train(event)
        if self._own.may_train:
            return [*self._next_phase(), self._own.checkpoint(), *self._publish(), report]
        return [self._own.checkpoint(), *self._begin_settling(now), report]

    def _try_to_train(self, *, anyway: bool) -> list[Effect[P]]:
        """The phase that waits, once the state may be trained, or that did not change until the deadline."""
        report = self._exchange.mix()
        if self._exchange.may_train or anyway:
            self._waits_to_train = False
            return [self._own.train(), report]
        return [report]

    # ---- neighbors ----

    def _receive(self, event: Received[P], now: float) -> list[Effect[P]]:
        if event.sender not in self._neighbors.names:
            return []
        self._neighbors.heard(event.sender, event.header, now)
        answers = self._exchange.take(event, self._header())
        if self._waits_to_train:
            return [*self._try_to_train(anyway=False), *answers]
        if not self._settled:
            return [*answers, *self._settle(now)]
        report = self._exchange.mix()
        return [*answers, *([] if event.header.settled else self._publish()), report]

    def _wake(self, timer: str, now: float) -> list[Effect[P]]:
        if timer == LINGER:
            self._neighbors.linger_over()
        if timer == DEADLINE and self._waits_to_train:
            return self._try_to_train(anyway=True)
        if timer != DEADLINE or not self._settling or self._settled:
            return []
        if self._neighbors.awaited(now):
            return [*self._settling_round(now), *self._settle(now)]
        # links are lost: they may come back until linger_s is over
        return [self._deadline()] if self._neighbors.reachable(now) else self._settle_alone()

    # ---- settling ----

    def _begin_settling(self, now: float) -> list[Effect[P]]:
        self._settling = True
        self._neighbors.wait_from(now)
        return [*self._publish(), *([] if self._settled else [self._deadline()]), *self._settle(now)]

    def _settle(self, now: float) -> list[Effect[P]]:
        """Settling rounds as long as nothing has to be waited for."""
        effects: list[Effect[P]] = []
        while self._settling and not self._settled:
            awaited, missing = self._heard_by_now(now)
            if missing or not awaited or not self._exchange.is_complete(awaited):
                break
            if not self._exchange.hears_all and not self._counts(now):
                # nothing paces such rounds but the deadline
                break
            effects += self._settling_round(now)
        return effects

    def _settle_alone(self) -> list[Effect[P]]:
        self._own.snapshot = replace(self.snapshot, settle_rounds=self._parts.gossip.settle_rounds)
        return [self._own.checkpoint(), *self._publish()]

    def _settling_round(self, now: float) -> list[Effect[P]]:
        counts = self._counts(now)
        report = self._exchange.mix()
        if counts:
            self._own.snapshot = replace(self.snapshot, settle_rounds=self.snapshot.settle_rounds + 1)
        if self._settled:
            return [self._own.checkpoint(), *self._publish(), report]
        return [*self._publish(), self._deadline(), report]

    def _counts(self, now: float) -> bool:
        """Whether the settling round that ends now is counted."""
        awaited, missing = self._heard_by_now(now)
        return self._exchange.has_met and all(self._has_come_as_far(name) for name in (*awaited, *missing))

    def _heard_by_now(self, now: float) -> tuple[list[str], list[str]]:
        """Of those who ever send to this node: who may be heard any moment, and whose link is lost."""
        awaited, missing = self._neighbors.awaited(now), self._neighbors.missing(now)
        return [name for name in awaited if name in self._hears], [name for name in missing if name in self._hears]

    def _has_come_as_far(self, name: str) -> bool:
        header = self._neighbors.header(name)
        if not self._exchange.hears_all:
            return header is None or header.done
        if header is None or not header.done:
            return False
        return header.settled or header.settle_rounds is None or header.settle_rounds >= self.snapshot.settle_rounds

    def _deadline(self) -> SetTimer:
        return SetTimer(DEADLINE, self._parts.gossip.deadline_s)

    def _publish(self) -> list[Send[P]]:
        return self._exchange.publish(self._header())

    def _header(self) -> Header:
        done = not self._own.may_train
        return Header(
            round=self.snapshot.round,
            step=self.snapshot.step,
            done=done,
            settled=self._settled,
            settle_rounds=self.snapshot.settle_rounds if done else 0,
        )
