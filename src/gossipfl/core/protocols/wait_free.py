"""wait_free: publish after each training phase, mix the newest of each neighbor, never wait.

    train ─> mix the early ─> state += increment ─> mix the late ─> Train | Checkpoint | Send ─> …     then settle

    weight of neighbor j = W_ij · discount^age      age: own mixings since its contribution could first be mixed
    weight of own state  = 1 − all others           a neighbor older than max_staleness is absent

Early and late. Like is mixed with like: a contribution that lacks the training its receiver has just done is mixed
into the state before that training, one with as many steps into the state after it. Part of all training that reached
the mean (constant increments, 30 phases, equal speeds, delays of .05 to 1 phase): mixing always after the increment
.53–.56 on a ring of 6 and .36–.45 on the complete graph, always before it 1.01–1.41 and 1.01–1.57, like with like
.94–1.00 and .92–1.00.

Faster nodes. The same measure for discounts 0 / 0.5 / 1, delay .05: ring of 8, equal speeds .998 / .997 / .996, every
second node 4 times slower .99 / .83 / .59, one 4 times slower .997 / .94 / .79; complete graph of 8, every second node
4 times slower .995 / .84 / .62. The fast half's influence on that ring is 1.50 / 1.37 / 1.08 times the average, but
only because reused contributions hold it back: .50 / .52 / .54 of the slow half's own training reaches the mean. The
price is agreement: with 0 the distance between nodes after settling is up to a quarter larger than with 1 at short
delays, about twice at delays of a phase, several times under 30% loss. Each message is mixed once: the default is 0.

The next `Train` stands before `Checkpoint` and `Send`: training waits for neither disk nor network. Nothing is lost by
it: the steps are charged to the ledger as they are done, and a crash falls back to a checkpoint no older than what was
sent.

Settling. A node that trains no more mixes whenever every neighbor has given a fresh contribution since its own last
publication, or after `deadline_s`, and publishes. Such a round is counted when every neighbor has counted at least as
many: nobody runs away from a neighbor that still trains, so late training reaches everybody. A neighbor that has been
silent for `linger_s` is left out of this; one whose link is lost is waited for as long, it may come back. After
`settle_rounds` counted rounds the node is settled; from then on it mixes what comes and publishes once for each message
of an unsettled neighbor, never for that of a settled one.

Termination. An unsettled node publishes for each phase and each settling round. The node that has counted fewest holds
back nobody but itself, so with fair loss the smallest count rises within a deadline; counts are bounded, so settling
ends. Messages of settled nodes answer messages of unsettled ones, so they end too; then silence ends in `Finish`.

Only a static schedule goes with it: every node counts its own rounds, so that one node's round 7 is no other's, and
schedules keyed by the round would send states to those who do not listen and wait for those who do not send.

The mean is not kept; `drift` says by how much it moved.

Sources: AD-PSGD (Lian et al., 2018), SWIFT (Bornstein et al., 2023).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.core.events import (
    Effect,
    Event,
    Header,
    NeighborDown,
    NeighborUp,
    P,
    Received,
    Report,
    ScheduleTick,
    SendFailed,
    SetTimer,
    Snapshot,
    Started,
    Stopped,
    TimerFired,
    Trained,
)
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols.neighborhood import LINGER, Neighborhood
from gossipfl.core.protocols.own import Contribution, Contributions, OwnState
from gossipfl.errors import TopologyError

DEADLINE = "deadline"
"""Timer of a settling round."""


@dataclass(frozen=True, slots=True)
class _Newest(Generic[P]):
    """A neighbor's newest contribution and the own round it arrived in."""

    state: P
    header: Header
    round: int


class WaitFree(Generic[P]):
    """The protocol's state machine."""

    def __init__(self, parts: Parts[P]) -> None:
        self._parts = parts
        self._own = OwnState(parts)
        self._neighbors = Neighborhood(parts.schedule.neighbors(parts.name), parts.gossip.linger_s)
        self._newest: dict[str, _Newest[P]] = {}
        self._fresh: set[str] = set()
        self._settling = False

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
                return list(self._own.resend(name))
            case NeighborDown(name=name):
                self._neighbors.down(name)
                return self._settle(now)
            case Stopped():
                return [self._own.checkpoint()]
            # the next publication, or a deadline, makes up for a message that was lost
            case SendFailed() | ScheduleTick():
                return []

    # ---- training ----

    def _start(self, now: float) -> list[Effect[P]]:
        # in the first life there is nothing to tell yet: nodes start alike
        resumed = self.snapshot.phase > 0 or self.snapshot.round > 0
        if self._own.may_train:
            return [self._own.train(), *(self._publish() if resumed else [])]
        return self._begin_settling(now)

    def _train_on(self, event: Trained[P], now: float) -> list[Effect[P]]:
        contributions, ages = self._contributions()
        middle = self.snapshot.step + event.steps / 2
        early = {name: part for name, part in contributions.items() if part.header.step < middle}
        late = {name: part for name, part in contributions.items() if part.header.step >= middle}
        report = self._own.mix_around(event, early, late, ages)
        if self._own.may_train:
            return [self._own.train(), self._own.checkpoint(), *self._publish(), report]
        return [self._own.checkpoint(), *self._begin_settling(now), report]

    # ---- neighbors ----

    def _receive(self, event: Received[P], now: float) -> list[Effect[P]]:
        if event.sender not in self._neighbors.names:
            return []
        self._neighbors.heard(event.sender, event.header, now)
        self._newest[event.sender] = _Newest(event.state, event.header, self.snapshot.round)
        self._fresh.add(event.sender)
        if not self._settled:
            return self._settle(now)
        report = self._mix()
        return [*([] if event.header.settled else self._publish()), report]

    def _wake(self, timer: str, now: float) -> list[Effect[P]]:
        if timer == LINGER:
            self._neighbors.linger_over()
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
            awaited, missing = self._neighbors.awaited(now), self._neighbors.missing(now)
            if missing or not awaited or not self._fresh.issuperset(awaited):
                break
            effects += self._settling_round(now)
        return effects

    def _settle_alone(self) -> list[Effect[P]]:
        self._own.snapshot = replace(self.snapshot, settle_rounds=self._parts.gossip.settle_rounds)
        return [self._own.checkpoint(), *self._publish()]

    def _settling_round(self, now: float) -> list[Effect[P]]:
        expected = [*self._neighbors.awaited(now), *self._neighbors.missing(now)]
        counts = all(self._has_come_as_far(name) for name in expected)
        report = self._mix()
        if counts:
            self._own.snapshot = replace(self.snapshot, settle_rounds=self.snapshot.settle_rounds + 1)
        if self._settled:
            return [self._own.checkpoint(), *self._publish(), report]
        return [*self._publish(), self._deadline(), report]

    def _has_come_as_far(self, name: str) -> bool:
        header = self._neighbors.header(name)
        if header is None or not header.done:
            return False
        return header.settled or header.settle_rounds is None or header.settle_rounds >= self.snapshot.settle_rounds

    def _deadline(self) -> SetTimer:
        return SetTimer(DEADLINE, self._parts.gossip.deadline_s)

    # ---- mixing and publishing ----

    def _mix(self) -> Report:
        return self._own.mix(*self._contributions())

    def _contributions(self) -> tuple[Contributions[P], Mapping[str, int]]:
        """What there is to mix, with discounted weights, and the age of each neighbor's newest."""
        weights = self._parts.schedule.row(self._parts.name, self.snapshot.round).weights
        ages = {name: self._age(name) for name in weights if name != self._parts.name}
        terms = {name: self._contribution(name, weights[name], age) for name, age in ages.items()}
        return {name: term for name, term in terms.items() if term is not None}, ages

    def _age(self, name: str) -> int:
        """Own mixings since the newest contribution could first be mixed, or since the beginning."""
        newest = self._newest.get(name)
        return self.snapshot.round - newest.round if newest else self.snapshot.round

    def _contribution(self, name: str, weight: float, age: int) -> Contribution[P] | None:
        newest, gossip = self._newest.get(name), self._parts.gossip
        discounted = weight * gossip.staleness_discount**age
        if newest is None or age > gossip.max_staleness or not discounted:
            return None
        return Contribution(discounted, newest.state, newest.header)

    def _publish(self) -> list[Effect[P]]:
        done = not self._own.may_train
        header = Header(
            round=self.snapshot.round,
            step=self.snapshot.step,
            done=done,
            settled=self._settled,
            settle_rounds=self.snapshot.settle_rounds if done else 0,
        )
        self._fresh.clear()
        receivers = self._parts.schedule.row(self._parts.name, self.snapshot.round).receivers
        return list(self._own.publish(receivers, header, replaceable=True))


def build(parts: Parts[P]) -> Protocol[P]:
    """The protocol for one node.

    Raises:
        TopologyError: the schedule is not static.
    """
    if parts.schedule.period != 1:
        raise TopologyError(
            "topology.schedule: wait_free nodes count rounds of their own, which a schedule that changes from round to "
            "round cannot go by: take static, or gossip.protocol sync"
        )
    return WaitFree(parts)
