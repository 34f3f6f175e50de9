"""A world of nodes on a virtual clock: the driver of the protocols' own state machines.

    clock ── happening ──> event ──> protocol.handle() ──> effects ─┬─ Train        trainer; over when the model says
                                                                   ├─ Send         network
                                                                   ├─ Checkpoint   what a restart goes on from
                                                                   └─ SetTimer, Report, Finish

A node that has finished leaves, as a real one does. Every run is decided by its seed.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, assert_never

from gossipfl.core.events import (
    Checkpoint,
    Effect,
    Event,
    Finish,
    NeighborDown,
    NeighborUp,
    Report,
    Send,
    SetTimer,
    Started,
    TimerFired,
    Train,
)
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P
from gossipfl.sim.availability import Outage, Partition
from gossipfl.sim.body import Body
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import (
    ComesUp,
    GoesDown,
    Happening,
    Heals,
    LineFree,
    LinkEnds,
    Message,
    PhaseBegins,
    PhaseEnds,
    Ring,
    Splits,
    Tell,
)
from gossipfl.sim.links import Edge
from gossipfl.sim.network import Network
from gossipfl.sim.phases import Phases
from gossipfl.sim.post import Post
from gossipfl.sim.timers import Timers
from gossipfl.sim.world_parts import WorldParts


class World(Generic[P]):
    """Runs until nothing is left to happen.

    Attributes:
        bodies: every node.
        reports: mixings so far, of all nodes.
        steps: optimizer steps so far, of all nodes, those that a crash has undone among them.
        on_event: told of every event that a node is about to handle.
        on_report: told of every mixing.
    """

    def __init__(self, parts: WorldParts[P], initial: Mapping[str, Snapshot[P]]) -> None:
        self._parts = parts
        self.clock: Clock[Happening[P]] = Clock()
        self._phases = Phases(parts, self.clock)
        self.network: Network[P] = Network(parts.network, self.clock, self._on_sent)
        self.bodies = {name: Body(parts.build(name, snapshot), snapshot) for name, snapshot in initial.items()}
        self.reports = self.steps = 0
        self.on_event: Callable[[str, Event[P]], None] | None = None
        self.on_report: Callable[[str, Report], None] | None = None
        self._timers = Timers(self.clock, self.bodies)
        self._post = Post(parts.guard, parts.attackers, self.bodies, self.network, self._handle)
        self._finished = 0
        for name in self.bodies:
            self._post.begin(name)
        for name in self.bodies:
            self._post.introduce(name, self._reachable(name))
            self.clock.plan(0.0, Tell(name, Started(), 0))
            self._plan_outage(name)
        for place, partition in enumerate(parts.network.partitions):
            self.clock.plan(partition.from_s, Splits(place))

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.clock.now

    @property
    def rejected(self) -> Mapping[str, int]:
        """Messages that all nodes have dropped, by reason."""
        return sum((body.rejected for body in self.bodies.values()), Counter[str]())

    def advance(self, until_s: float = math.inf) -> bool:
        """Lets one thing happen; False when nothing is left that could change a node, or nothing until then."""
        if not len(self.clock) or self._finished == len(self.bodies) or self.clock.next_at > until_s:
            return False
        self._happen(self.clock.next())
        return True

    def run(self, until_s: float = math.inf) -> None:
        """Lets everything happen."""
        while self.advance(until_s):
            pass

    def state(self) -> dict[str, Any]:
        """All that changes, for a checkpoint; the nodes' `Parts` are to be shared."""
        return {
            "clock": self.clock,
            "network": self.network.state(),
            "bodies": self.bodies,
            "reports": self.reports,
            "steps": self.steps,
            "timers": self._timers.counts,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        self.clock = state["clock"]
        self._phases = Phases(self._parts, self.clock)
        self.network = Network(self._parts.network, self.clock, self._on_sent)
        self.network.restore(state["network"])
        self.bodies = state["bodies"]
        self.reports, self.steps = state["reports"], state["steps"]
        self._timers = Timers(self.clock, self.bodies, state["timers"])
        self._post = Post(self._parts.guard, self._parts.attackers, self.bodies, self.network, self._handle)
        self._finished = sum(body.finished for body in self.bodies.values())

    # ---- happenings ----

    def _happen(self, happening: Happening[P]) -> None:
        match happening:
            case Message():
                self._arrive(happening)
            case Tell(node=node, event=event, life=life):
                self._tell(node, event, life)
            case PhaseBegins() | PhaseEnds():
                self._train_on(happening)
            case Ring():
                self._ring(happening)
            case LineFree() | LinkEnds() | Splits() | Heals():
                self._change_links(happening)
            case GoesDown(outage=outage):
                self._go_down(outage)
            case ComesUp(node=node):
                self._come_up(node)
            case _:
                assert_never(happening)

    def _change_links(self, happening: LineFree | LinkEnds | Splits | Heals) -> None:
        match happening:
            case LineFree(sender=sender, receiver=receiver):
                self.network.line_free((sender, receiver))
            case LinkEnds(gone=gone, neighbor=neighbor):
                self._end_link(gone, neighbor)
            case Splits(place=place):
                self._split(place)
            case Heals(place=place):
                self._heal(place)

    def _arrive(self, message: Message[P]) -> None:
        body = self.bodies[message.receiver]
        if not body.up or self.network.is_cut(message.sender, message.receiver):
            return
        fault = self.network.passes(message)
        if fault:
            self._post.refuse(message, fault)
        else:
            self._post.arrive(message)

    def _tell(self, name: str, event: Event[P], life: int | None) -> None:
        body = self.bodies[name]
        if body.up and life in (None, body.life):
            self._handle(name, body, event)

    def _train_on(self, happening: PhaseBegins | PhaseEnds) -> None:
        body = self.bodies[happening.node]
        trained = self._phases.go_on(happening, body)
        if trained is not None:
            self.steps += trained.steps
            self._handle(happening.node, body, trained)

    def _on_sent(self, sender: str, size: int) -> None:
        self.bodies[sender].bytes_sent += size

    def _ring(self, ring: Ring) -> None:
        if self._timers.take(ring):
            self._handle(ring.node, self.bodies[ring.node], TimerFired(ring.timer))

    # ---- effects ----

    def _handle(self, name: str, body: Body[P], event: Event[P]) -> None:
        if self.on_event is not None:
            self.on_event(name, event)
        for effect in body.protocol.handle(event, self.clock.now):
            self._perform(name, body, effect)

    def _perform(self, name: str, body: Body[P], effect: Effect[P]) -> None:
        match effect:
            case Send():
                self._post.send(name, effect)
            case Train():
                self._phases.ask(name, body, effect)
            case Checkpoint(snapshot=snapshot):
                body.durable = snapshot
            case SetTimer():
                self._timers.set(name, effect)
            case Report():
                self.reports += 1
                if self.on_report is not None:
                    self.on_report(name, effect)
            case Finish():
                self._finished += 1
                body.finished = True
                body.up = False
                self._end_links(name)
            case _:
                assert_never(effect)

    # ---- who is there ----

    def _plan_outage(self, name: str) -> None:
        outage = self._parts.outages(name, self.clock.now)
        if outage is not None:
            self.clock.plan(outage.from_s, GoesDown(outage))

    def _go_down(self, outage: Outage) -> None:
        body = self.bodies[outage.node]
        if body.finished:
            return
        body.up = False
        body.training = None
        body.lost = self._parts.trainer.abandon(outage.node) or body.lost
        self.network.forget(outage.node)
        self._end_links(outage.node)
        if outage.until_s is not None:
            self.clock.plan(outage.until_s, ComesUp(outage.node))

    def _come_up(self, name: str) -> None:
        body = self.bodies[name]
        body.up, body.life, body.took_s = True, body.life + 1, 0.0
        self._timers.drop(name)
        body.protocol = self._parts.build(name, body.durable)
        self._post.begin(name)
        self._post.introduce(name, self._reachable(name))
        self._handle(name, body, Started())
        for other in self._reachable(name):
            # not within the event that is being handled
            self.clock.plan(self.clock.now, Tell(other, NeighborUp(name)))
        for other in self._reachable(name):
            self._tell(name, NeighborUp(other), None)
        self._plan_outage(name)

    def _split(self, place: int) -> None:
        partition = self._parts.network.partitions[place]
        # what another partition cuts already is known to be down
        cut = [edge for edge in self._edges_across(partition) if not self.network.is_cut(*edge)]
        self.network.split(place)
        self._tell_of(cut, NeighborDown)
        if partition.until_s is not None:
            self.clock.plan(partition.until_s, Heals(place))

    def _heal(self, place: int) -> None:
        self.network.heal(place)
        edges = self._edges_across(self._parts.network.partitions[place])
        self._tell_of([edge for edge in edges if not self.network.is_cut(*edge)], NeighborUp)

    def _edges_across(self, partition: Partition) -> list[Edge]:
        """(node, neighbor) on different sides."""
        neighbors = self._parts.schedule.neighbors
        return [(name, other) for name in self.bodies for other in neighbors(name) if partition.cuts(name, other)]

    def _tell_of(self, edges: Sequence[Edge], news: type[NeighborUp] | type[NeighborDown]) -> None:
        for name, other in edges:
            if self.bodies[other].up:
                if news is NeighborUp:
                    self._post.introduce(name, [other])
                self._tell(name, news(other), None)

    def _end_links(self, name: str) -> None:
        for other in self._reachable(name):
            # not within the event that is being handled
            self.clock.plan(self.clock.now, LinkEnds(name, other))

    def _end_link(self, gone: str, neighbor: str) -> None:
        empty_at = self.network.empty_at((gone, neighbor))
        if empty_at > self.clock.now:
            self.clock.plan(empty_at, LinkEnds(gone, neighbor))
        elif not self.bodies[gone].up:
            self._tell(neighbor, NeighborDown(gone), None)

    def _reachable(self, name: str) -> Sequence[str]:
        others = self._parts.schedule.neighbors(name)
        return [other for other in others if self.bodies[other].up and not self.network.is_cut(name, other)]
