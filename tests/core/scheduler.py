"""A world in virtual time for protocols: messages in any order, twice or not at all; nodes of any speed that crash.

Every run is decided by its seed. While it performs effects it holds every protocol to the laws of the seam: one
training phase at a time, and nothing trained is sent before a checkpoint of it.
"""

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import (
    Checkpoint,
    Effect,
    Event,
    Finish,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Send,
    SetTimer,
    Started,
    TimerFired,
    Train,
    Trained,
)
from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology import build_schedule
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to messages.

    Attributes:
        loss: part of the messages that vanish.
        duplicates: part that arrive twice.
        latency_s: mean of an exponential delay; against 1 s of training a phase.
        in_order: drop a message when a newer one of its sender has arrived.
        queued: as on real links, a message never overtakes one of its sender.
        news: tell the nodes when links go up and down.
    """

    loss: float = 0.0
    duplicates: float = 0.0
    latency_s: float = 1.0
    in_order: bool = False
    queued: bool = False
    news: bool = True


@dataclass(frozen=True, slots=True)
class Crash:
    """A node dies right after its effect number `after_effects`, and comes back from its last checkpoint, or never."""

    node: str
    after_effects: int
    restart_s: float | None


@dataclass(frozen=True)
class Plan(Generic[P]):
    """One run.

    Attributes:
        initial: state by node.
        zero: of the vector space.
        increment: what training phase `version` of a node adds.
        phase_s: seconds a phase takes, by node; 1 when missing.
        exhausted_after: phase in which a node's budget ends.
        leaves: a finished node goes down instead of serving.
    """

    protocol: str
    schedule: Schedule
    initial: Mapping[str, P]
    zero: P
    increment: Callable[[str, int], P]
    gossip: GossipConfig = field(default_factory=GossipConfig)
    phases: int = 3
    phase_s: Mapping[str, float] = field(default_factory=dict)
    exhausted_after: Mapping[str, int] = field(default_factory=dict)
    weather: Weather = Weather()
    crashes: Sequence[Crash] = ()
    leaves: bool = False
    seed: int = 0


@dataclass(slots=True)
class Body(Generic[P]):
    """One node as the world sees it."""

    protocol: Protocol[P]
    durable: Snapshot[P]
    alive: bool = True
    life: int = 0
    training: Train[P] | None = None
    effects: int = 0
    finishes: int = 0
    finished_at: float | None = None
    restarts: int = 0
    timers: dict[str, int] = field(default_factory=dict)
    increments: dict[int, P] = field(default_factory=dict)


class World(Generic[P]):
    """Runs a plan until nothing is left to happen."""

    def __init__(self, plan: Plan[P]) -> None:
        self.plan = plan
        self.now = 0.0
        self.reports: list[tuple[str, Report]] = []
        self.sends: list[tuple[float, str, Send[P]]] = []
        self._rng = np.random.default_rng(plan.seed)
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._seen: dict[tuple[str, str], int] = {}
        self._due: dict[tuple[str, str], float] = {}
        blank = {name: Snapshot(state=state, unmixed=state) for name, state in plan.initial.items()}
        self.bodies = {name: Body(self._protocol(name, snapshot), snapshot) for name, snapshot in blank.items()}

    # ---- the run ----

    def run(self, *, most_happenings: int = 200_000) -> "World[P]":
        """Starts all nodes and lets everything happen."""
        for name in self.bodies:
            self._at(0.0, lambda name=name: self._tell(name, Started()))  # type: ignore[misc]
        for _ in range(most_happenings):
            if not self._heap:
                return self
            self.now, _, happening = heapq.heappop(self._heap)
            happening()
        raise AssertionError("the run does not end")

    def _at(self, delay_s: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay_s, next(self._numbers), happening))

    def _protocol(self, name: str, snapshot: Snapshot[P]) -> Protocol[P]:
        parts = Parts(
            name=name,
            schedule=self.plan.schedule,
            mixing=Weighted[P](),
            gossip=self.plan.gossip,
            phases=self.plan.phases,
            local_steps=10,
            clear=Publishable,
            snapshot=snapshot,
        )
        return PROTOCOLS[self.plan.protocol](parts)

    # ---- events and effects ----

    def _tell(self, name: str, event: Event[P], life: int | None = None) -> None:
        body = self.bodies[name]
        if not body.alive or life not in (None, body.life):
            return
        life = body.life
        if isinstance(event, Trained):
            assert body.training is not None
            body.increments[event.version] = event.state - body.training.snapshot
            body.training = None
        for effect in body.protocol.handle(event, self.now):
            self._perform(name, body, effect)
            body.effects += 1
            self._crash_if_due(name, body)
            if body.life != life or not body.alive:
                return

    def _perform(self, name: str, body: Body[P], effect: Effect[P]) -> None:
        match effect:
            case Train():
                assert body.training is None, "two training phases at once"
                body.training = effect
                self._at(self._phase_s(name), lambda life=body.life: self._trained(name, effect, life))  # type: ignore[misc]
            case Send():
                assert effect.header.step <= body.durable.step, "trained, sent, and not durable"
                assert effect.content.receipt.steps <= body.durable.receipt.steps, "the receipt is not durable"
                self._send(name, effect)
            case SetTimer():
                body.timers[effect.name] = token = next(self._numbers)
                self._at(effect.delay_s, lambda life=body.life: self._ring(name, effect.name, token, life))  # type: ignore[misc]
            case Checkpoint():
                body.durable = effect.snapshot
            case Report():
                self.reports.append((name, effect))
            case Finish():
                assert body.durable == body.protocol.snapshot, "finished, and not durable"
                body.finishes += 1
                body.finished_at = self.now
                if self.plan.leaves:
                    self._die(name, body)

    def _phase_s(self, name: str) -> float:
        return self.plan.phase_s.get(name, 1.0) * float(self._rng.uniform(0.9, 1.1))

    def _trained(self, name: str, effect: Train[P], life: int) -> None:
        steps = effect.first_step + effect.steps
        exhausted = self.plan.exhausted_after.get(name, self.plan.phases) <= effect.version
        state = effect.snapshot + self.plan.increment(name, effect.version)
        receipt = Receipt(steps=steps, charges=steps)
        self._tell(name, Trained(effect.version, state, effect.steps, 1.0, receipt, exhausted), life)

    def _ring(self, name: str, timer: str, token: int, life: int) -> None:
        if self.bodies[name].timers.get(timer) == token:
            self._tell(name, TimerFired(timer), life)

    def _send(self, name: str, effect: Send[P]) -> None:
        self.sends.append((self.now, name, effect))
        weather, number = self.plan.weather, next(self._numbers)
        copies = 1 + (self._rng.random() < weather.duplicates)
        for _ in range(copies):
            if self._rng.random() >= weather.loss:
                delay_s = self._delay_s((name, effect.receiver))
                self._at(delay_s, lambda: self._arrive(name, effect, number))

    def _delay_s(self, edge: tuple[str, str]) -> float:
        delay_s = float(self._rng.exponential(self.plan.weather.latency_s))
        if not self.plan.weather.queued:
            return delay_s
        # a little later than the one before: the difference is rounded, and must not turn them round
        self._due[edge] = max(self._due.get(edge, 0.0) + 1e-6, self.now + delay_s)
        return self._due[edge] - self.now

    def _arrive(self, sender: str, effect: Send[P], number: int) -> None:
        edge = (sender, effect.receiver)
        if self.plan.weather.in_order and self._seen.get(edge, -1) >= number:
            return
        self._seen[edge] = number
        self._tell(
            effect.receiver,
            Received(sender, effect.packet.seen, effect.header, effect.crossing.flow if effect.crossing else None),
        )

    # ---- crashes ----

    def _crash_if_due(self, name: str, body: Body[P]) -> None:
        for crash in self.plan.crashes:
            if crash.node == name and crash.after_effects == body.effects and body.alive:
                self._die(name, body)
                if crash.restart_s is not None:
                    self._at(crash.restart_s, lambda: self._revive(name, body))

    def _die(self, name: str, body: Body[P]) -> None:
        body.alive = False
        self._news(name, NeighborDown(name))

    def _revive(self, name: str, body: Body[P]) -> None:
        body.alive, body.life, body.training, body.timers = True, body.life + 1, None, {}
        body.restarts += 1
        body.protocol = self._protocol(name, body.durable)
        body.increments = {k: v for k, v in body.increments.items() if k < body.durable.phase}
        self._tell(name, Started())
        self._news(name, NeighborUp(name))
        for other in self.plan.schedule.neighbors(name):
            if self.plan.weather.news and self.bodies[other].alive:
                self._tell(name, NeighborUp(other))

    def _news(self, name: str, event: NeighborUp | NeighborDown) -> None:
        if self.plan.weather.news:
            for other in self.plan.schedule.neighbors(name):
                self._at(0.0, lambda other=other: self._tell(other, event))  # type: ignore[misc]

    # ---- what came of it ----

    def snapshots(self) -> dict[str, Snapshot[P]]:
        """Of every node; of a dead one as it was last."""
        return {name: body.protocol.snapshot for name, body in self.bodies.items()}

    def mean(self, values: Sequence[Any]) -> Any:
        """Arithmetic mean in the vector space."""
        total = self.plan.zero
        for value in values:
            total = total + value
        return total * (1 / len(values))

    def unexplained(self) -> float:
        """Norm of: mean state − mean initial state − mean of increments − mean drift; 0 by the law of drift.

        Where books are kept, the state counts with what it gave and without what it got.
        """
        snapshots = self.snapshots()
        increments = [step for body in self.bodies.values() for step in body.increments.values()]
        explained = self.mean(list(self.plan.initial.values()))
        explained = explained + self.mean([snapshot.drift for snapshot in snapshots.values()])
        if increments:
            explained = explained + self.mean(increments) * (len(increments) / len(snapshots))
        return float(abs(self.mean([_kept(snapshot) for snapshot in snapshots.values()]) - explained))


def _kept(snapshot: Snapshot[P]) -> P:
    return snapshot.state if snapshot.mass is None else snapshot.mass.whole.total.over(1.0)


def names(count: int) -> tuple[str, ...]:
    """Node names."""
    return tuple(f"n{number}" for number in range(count))


def schedule(kind: str, count: int, **settings: Any) -> Schedule:
    """A static schedule with Metropolis weights."""
    return build_schedule(TopologyConfig(kind=kind, **settings), names(count))


def floats(protocol: str, kind: str, count: int, **settings: Any) -> Plan[float]:
    """A plan with numbers as states: 0, 1, 2, … at the start, and no training but by `increment`."""
    plan: Plan[float] = Plan(
        protocol=protocol,
        schedule=schedule(kind, count),
        initial={name: float(number) for number, name in enumerate(names(count))},
        zero=0.0,
        increment=lambda _name, _phase: 0.0,
    )
    return replace(plan, **settings)


def trained(version: int, state: float = 0.0) -> Trained[float]:
    """A finished phase of 5 steps that has led to this state."""
    return Trained(version, state, 5, 1.0, Receipt(steps=5 * version + 5))


def kinds(effects: list[Effect[float]]) -> list[str]:
    """Names of the effects."""
    return [type(effect).__name__ for effect in effects]
