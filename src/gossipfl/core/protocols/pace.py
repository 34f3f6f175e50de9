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

from gossipfl.core.events import (
    Effect,
    Event,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Rewired,
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
from gossipfl.core.protocol import Parts, Schedule
from gossipfl.core.protocols.exchange import Exchange
from gossipfl.core.protocols.neighborhood import LINGER, Neighborhood, senders_to
from gossipfl.core.protocols.own import OwnState
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P

DEADLINE = "deadline"
"""Timer of a settling round, and of a node that cannot train yet."""


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
        self._is_new = parts.newcomer and not self._resumed

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
                return list(self._exchange.welcome(name, self._header()))
            case NeighborDown(name=name):
                self._neighbors.down(name)
                return self._settle(now)
            case Rewired(schedule=schedule):
                return self._rewire(schedule, now)
            case Stopped():
                return [self._own.checkpoint()]
            # the next publication, or a deadline, makes up for a message that was lost; sums are for sync
            case SendFailed() | ScheduleTick() | Heard() | Summed():
                return []

    # ---- training ----

    def _start(self, now: float) -> list[Effect[P]]:
        if self._is_new:
            return [self._deadline()]
        # in the first life there is nothing to tell yet: nodes start alike
        if self._own.may_train:
            return [*self._next_phase(), *(self._publish() if self._resumed else [])]
        return self._begin_settling(now)

    @property
    def _resumed(self) -> bool:
        return self.snapshot.phase > 0 or self.snapshot.round > 0

    # ---- coming and going ----

    def _rewire(self, schedule: Schedule, now: float) -> list[Effect[P]]:
        self._parts = replace(self._parts, schedule=schedule)
        self._own.rewire(schedule)
        self._neighbors.become(schedule.neighbors(self._parts.name), now)
        self._hears = senders_to(self._parts.name, schedule)
        self._exchange.rewire(schedule)
        return self._begin_where_others_are(now, anyway=False) if self._is_new else self._settle(now)

    def _begin_where_others_are(self, now: float, *, anyway: bool) -> list[Effect[P]]:
        """A newcomer goes to its neighbors' mean once all have spoken, at the deadline to that of those who have."""
        headers = [self._neighbors.header(name) for name in self._neighbors.names]
        spoken = [header for header in headers if header is not None]
        if not anyway and (len(spoken) < len(headers) or all(header.is_at_the_start for header in spoken)):
            return []
        if not spoken:
            # alone it would train from a start that the others have left long ago
            return [self._deadline()]
        self._is_new = False
        report = self._exchange.adopt()
        if report is None:
            return self._start(now)
        if self._own.may_train:
            return [*self._next_phase(), self._own.checkpoint(), report]
        return [self._own.checkpoint(), *self._begin_settling(now), report]

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
        if self._is_new:
            self._exchange.take(event, self._header())
            return self._begin_where_others_are(now, anyway=False)
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
        if timer == DEADLINE and self._is_new:
            return self._begin_where_others_are(now, anyway=True)
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
