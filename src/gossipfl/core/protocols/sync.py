"""sync: all nodes mix the same round's states; each waits for its neighbors until a deadline.

    phase k:  train ─> publish x as round r ─> wait for round r of each neighbor ─> x ← Σ_j W_ij x_j
              └ once                          └───────── rounds_per_phase times ─────────┘
    after the last phase: settle_rounds rounds more without training

With a doubly stochastic W and no loss the mean is kept. A neighbor that is missing at the deadline is absent: its
weight falls to self, the row stays stochastic, the mean can drift, and `drift` says by how much. A neighbor whose link
is lost is not waited for, nor one whose numbers were no state.

Churn. Where two nodes hear each other with equal weights (every schedule but epidemic and the one-way ones), both ends
of a lost link leave it out alike: what is left is symmetric on the links that both know to be up, and keeps the mean of
the nodes that are up. On a one-way schedule whoever heard the lost node takes its weight from nobody, and the mean of
the others moves. An exact schedule is exact in no such round, and the reports say so: `absent` is not empty.

`deadline_s` runs from a node's own publication: it has to exceed what the slowest neighbor needs longer for a phase, or
that neighbor is left out of most rounds; then `wait_free` is the better choice.

Rounds are numbered through. A neighbor that is to hear this node in a round can end it only with this node's state or
by giving up on it. So one that is past such a round that this node has not published yet gave up: it sends nothing for
the present round and is not waited for. A node behind (a crash, a straggler) trains the phase it is in, then publishes
for the newest round of those who gave up on it; the rounds and phases between are skipped: the others mixed without it,
and their time does not come back. A node whose budget is spent takes part in the same rounds without training.

Who is to hear whom changes where the schedule does. A neighbor far ahead that needed nothing of this node meanwhile is
no sign of anything: its state is kept for its round. A round in which a node hears nobody is over as soon as it is
published; one in which it meets nobody passes without a message. In the last round every neighbor is told.

A publication carries new training only behind a `Checkpoint` of it. `Train` stands first in every list: training waits
for neither disk nor network, only for the states it mixes.

Termination. A round ends at the latest `deadline_s` after it began, and there are phases · rounds_per_phase +
settle_rounds of them; only training, which is local, comes in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Generic

from gossipfl.core.events import (
    Effect,
    Event,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Rewired,
    ScheduleTick,
    SendFailed,
    SetTimer,
    Started,
    Stopped,
    Summed,
    TimerFired,
    Train,
    Trained,
)
from gossipfl.core.messages import Header
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols.neighborhood import LINGER, Neighborhood
from gossipfl.core.protocols.outer_step import OuterStep
from gossipfl.core.protocols.own import Contribution, OwnState
from gossipfl.core.protocols.rounds import EARLY_ONE_WAY_ROUNDS, EARLY_ROUNDS, Rounds, Word
from gossipfl.core.protocols.rows import Rows
from gossipfl.core.protocols.sums import Sums
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P

DEADLINE = "deadline"
_CLOCK_S = 1e-3
"""A timer may come this much early."""


class Sync(Generic[P]):
    """The protocol's state machine.

    Args:
        outer: step that follows the mixing of a phase; see `noloco`.
    """

    def __init__(self, parts: Parts[P], outer: OuterStep | None = None) -> None:
        gossip, neighbors = parts.gossip, parts.schedule.neighbors(parts.name)
        self._parts = parts
        self._own = OwnState(parts)
        self._outer = outer
        if outer is not None:
            self._own.begin_outward()
        self._neighbors = Neighborhood(neighbors, gossip.linger_s)
        self._rows = Rows(parts.name, parts.schedule)
        self._sums: Sums[P] | None = Sums() if parts.sums_only else None
        mutual = parts.schedule.period == 1 and {*self._rows.senders(0)} == {*self._rows.of(0).receivers}
        self._rounds: Rounds[P] = Rounds(neighbors, EARLY_ROUNDS if mutual else EARLY_ONE_WAY_ROUNDS)
        self._training_rounds = parts.phases * gossip.rounds_per_phase
        self._last_round = self._training_rounds + gossip.settle_rounds - 1
        self._deadline_at: float | None = None
        self._came_back = False
        self._phase_heard: dict[str, int] = {}

    @property
    def snapshot(self) -> Snapshot[P]:
        """The durable part of the machine's state, as it is now."""
        return self._own.snapshot

    def handle(self, event: Event[P], now: float) -> list[Effect[P]]:
        """Effects of an event, in the order to perform them."""
        effects = self._react(event, now)
        if len(effects) > 1:
            # stable: training first, the rest in its order
            effects.sort(key=lambda effect: not isinstance(effect, Train))
        settled = self.snapshot.round > self._last_round
        return effects + self._own.leave(self._neighbors, now) if settled else effects

    def _react(self, event: Event[P], now: float) -> list[Effect[P]]:  # noqa: PLR0911  # one case an event
        match event:
            # the most frequent one first
            case Received() | Heard():
                return self._receive(event, now)
            case Summed():
                return self._take_sum(event, now)
            case Started():
                return self._start(now)
            case Trained():
                return self._exchange_trained(event, now) if self._own.answers(event) else []
            case TimerFired(name=name):
                return self._wake(name, now)
            case NeighborUp(name=name):
                self._neighbors.up(name)
                return list(self._own.resend(name))
            case NeighborDown(name=name):
                self._neighbors.down(name)
                return self._progress(now)
            case Stopped():
                return [self._own.checkpoint()]
            # the deadline makes up for a message that was lost; nobody is rewired, see core.topology.live
            case SendFailed() | ScheduleTick() | Rewired():
                return []

    # ---- what comes next ----

    def _start(self, now: float) -> list[Effect[P]]:
        if self._training_is_due:
            return [self._own.train()]
        if self.snapshot.round > self._last_round:
            # a neighbor that came back late finds a last round to mix, and that this node is through
            return list(self._publish(self._last_round))
        # back in the middle of a round: what a neighbor ahead had sent for it is lost
        self._came_back = True
        return [*self._open(now), *self._progress(now)]

    @property
    def _training_is_due(self) -> bool:
        now = self.snapshot
        return self._own.may_train and now.round == now.phase * self._parts.gossip.rounds_per_phase

    def _exchange_trained(self, event: Trained[P], now: float) -> list[Effect[P]]:
        self._own.absorb(event)
        self._catch_up()
        return [self._own.checkpoint(), *self._open(now), *self._progress(now)]

    def _progress(self, now: float) -> list[Effect[P]]:
        """Ends rounds as long as nobody has to be waited for."""
        effects: list[Effect[P]] = []
        while self._deadline_at is not None and self._is_complete():
            effects += self._end_round(now)
        return effects

    def _end_round(self, now: float) -> list[Effect[P]]:
        report = self._mix()
        self._deadline_at = None
        self._came_back = False
        self._catch_up()
        self._rounds.close(self.snapshot.round)
        if self._sums is not None:
            self._sums.close(self.snapshot.round)
        if self._training_is_due:
            return [self._own.train(), self._own.checkpoint(), report]
        if self.snapshot.round > self._last_round:
            # who adds up for this node stays until its last sum is there
            farewell = [] if self._sums is None else self._publish(self._last_round)
            return [self._own.checkpoint(), report, *farewell]
        return [report, *self._open(now)]

    def _catch_up(self) -> None:
        """Skips to the newest round of those who mixed one without this node that it has not published yet."""
        now = self.snapshot
        ahead = self._rounds.ahead(now.round)
        lead = max((self._rounds.newest(name) for name in ahead if self._gave_up(name, now.round)), default=-1)
        if lead <= now.round:
            return
        phase = min(lead // self._parts.gossip.rounds_per_phase + 1, self._parts.phases)
        self._own.snapshot = self._counted(replace(now, round=lead, phase=max(now.phase, phase)))

    def _counted(self, snapshot: Snapshot[P]) -> Snapshot[P]:
        counted = max(0, snapshot.round - self._training_rounds)
        return snapshot if counted == snapshot.settle_rounds else replace(snapshot, settle_rounds=counted)

    # ---- one round ----

    def _open(self, now: float) -> list[Effect[P]]:
        delay_s = self._parts.gossip.deadline_s
        self._deadline_at = now + delay_s
        # without anybody to hear it ends before any timer
        timer = [SetTimer(DEADLINE, delay_s)] if self._rows.senders(self.snapshot.round) else []
        return [*self._publish(self.snapshot.round), *timer]

    def _receive(self, event: Word[P], now: float) -> list[Effect[P]]:
        sender, header, own = event.sender, event.header, self._own.snapshot
        # a round that does not exist: another schedule, or ill will; and no state where there are sums only
        exists = sender in self._neighbors.names and 0 <= header.round <= self._last_round
        # who contributes nothing has spoken all the same: nobody waits for it
        nothing = isinstance(event, Heard) and not event.contributes
        if not exists or not (nothing or isinstance(event, Heard) == self._parts.sums_only):
            return []
        self._neighbors.heard(sender, header, now)
        self._phase_heard[sender] = self._phase_heard.get(sender, 0) if nothing else own.phase
        self._rounds.note(event)
        # else only a word on where the sender is
        if sender in self._rows.senders(header.round):
            self._rounds.add(event, own.round)
        return self._progress(now)

    def _take_sum(self, event: Summed[P], now: float) -> list[Effect[P]]:
        if self._sums is not None:
            self._sums.add(event, self.snapshot.round)
        return self._progress(now)

    def _wake(self, timer: str, now: float) -> list[Effect[P]]:
        if timer == LINGER:
            self._neighbors.linger_over()
        if timer != DEADLINE or self._deadline_at is None:
            return []
        # the timer of an earlier round, on its way when this one began
        if now < self._deadline_at - _CLOCK_S:
            return [SetTimer(DEADLINE, self._deadline_at - now)]
        return [*self._end_round(now), *self._progress(now)]

    def _is_complete(self) -> bool:
        number = self._own.snapshot.round
        here = self._rounds.of(number)
        for name in self._rows.senders(number):  # `any` would cost a generator at every message
            if name not in here and self._is_awaited(name, number):
                return False
        return self._sums is None or not self._sums.is_awaited(number, self._rows.senders(number), here)

    def _is_awaited(self, name: str, number: int) -> bool:
        """Whether a neighbor whose state for the present round is not here will still send it."""
        # without it there is no sum at all: it may come back before the deadline
        if self._sums is None and self._neighbors.is_down(name):
            return False
        # as most are: not past this round
        if self._rounds.newest(name) <= number:
            return True
        return not self._came_back and not self._gave_up(name, number + 1)

    def _gave_up(self, name: str, first: int) -> bool:
        """Whether a neighbor is past a round, from `first` on, in which it was to hear this node."""
        return any(name in self._rows.of(number).receivers for number in range(first, self._rounds.newest(name)))

    def _mix(self) -> Report:
        number, phase = self.snapshot.round, self.snapshot.phase
        weights = {name: self._rows.of(number).weights[name] for name in self._rows.senders(number)}
        staleness = {name: phase - self._phase_heard.get(name, 0) for name in weights}
        report = self._own.mix(self._present(number, weights), staleness)
        if self._outer is not None and number < self._training_rounds:
            self._own.step_outward(self._outer)
        self._own.snapshot = self._counted(self.snapshot)
        return report

    def _present(self, number: int, weights: Mapping[str, float]) -> Mapping[str, Contribution[P]]:
        here = self._rounds.of(number)
        if self._sums is not None:
            return self._sums.contributions(number, weights, here)
        return {
            name: Contribution(weight, word.state, word.header)
            for name, weight in weights.items()
            if isinstance(word := here.get(name), Received)
        }

    def _publish(self, number: int) -> Sequence[Effect[P]]:
        header = Header(
            round=number,
            step=self.snapshot.step,
            done=not self._own.may_train,
            settled=number == self._last_round and (self._sums is None or self.snapshot.round > number),
            settle_rounds=self.snapshot.settle_rounds,
        )
        receivers = self._rows.of(number).receivers
        if number == self._last_round:
            # nobody has to linger for who has no more to say
            receivers = (*receivers, *(name for name in self._neighbors.names if name not in receivers))
        # each receiver waits for every round
        return self._own.publish(receivers, header, replaceable=False)


def build(parts: Parts[P]) -> Protocol[P]:
    """The protocol for one node."""
    return Sync(parts)
