"""push_sum keeps the network's sum whatever happens, and every node finds the mean of all."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats
from tests.core.test_protocol_laws import plans
from tests.core.ticks import Ticking
from tests.core.ticks import Weather as Ticks

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Event, NeighborDown, Received, Send, Started, TimerFired, Train, Trained
from gossipfl.core.mass import Flow
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.protocols.pace import DEADLINE
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology import build_schedule
from gossipfl.core.vector import P
from gossipfl.core.wide import widened
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("a", (6, 5)),))


def states(count: int) -> dict[str, AdapterState]:
    rng = np.random.default_rng(count)
    draws = rng.standard_normal((count, SPEC.size)).astype(np.float32)
    return {f"n{place:02d}": AdapterState(SPEC, vector) for place, vector in enumerate(draws)}


def exact_mean(initial: Mapping[str, AdapterState]) -> np.ndarray:
    mean: np.ndarray = np.mean([state.vector.astype(np.float64) for state in initial.values()], axis=0)
    return mean


def held_and_on_its_way(snapshots: Mapping[str, Snapshot[P]]) -> Flow[P]:
    """All weight and all sum: what nodes hold, and what is pushed on an edge and not heard there."""
    masses = {name: snapshot.mass for name, snapshot in snapshots.items()}
    first = next(mass for mass in masses.values() if mass is not None)
    weight, total = 0.0, first.sum.zero()
    for name, mass in masses.items():
        assert mass is not None
        weight, total = weight + mass.weight, total.added(mass.sum)
        for other, far in masses.items():
            assert far is not None
            # after a crash one end may know nothing of what the other has booked
            given = mass.pushed.get(other) or Flow(0.0, total.zero())
            heard = far.heard.get(name) or Flow(0.0, total.zero())
            weight += given.weight - heard.weight
            total = total.moved(heard.total, given.total)
    return Flow(weight, total)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.slow
def test_no_weight_and_no_sum_is_ever_lost_or_made(data: st.DataObject) -> None:
    world = World(data.draw(plans("push_sum"))).run()
    all_of_it = held_and_on_its_way(world.snapshots())
    # not nearly: weights lie on a grid
    assert all_of_it.weight == len(world.bodies)
    increments = sum(step for body in world.bodies.values() for step in body.increments.values())
    assert all_of_it.total.values == pytest.approx(sum(world.plan.initial.values()) + increments, abs=1e-9)
    for snapshot in world.snapshots().values():
        assert snapshot.mass is not None
        assert snapshot.mass.whole.weight == 1.0


@pytest.mark.parametrize("codec", ["fp32", "int8"])
@pytest.mark.slow
def test_sixty_nodes_in_bad_weather_find_the_mean(codec: str) -> None:
    initial = states(60)
    schedule = build_schedule(TopologyConfig(kind="random_regular", degree=4), tuple(initial))
    gossip = GossipConfig(protocol="push_sum", codec=codec)
    run = Ticking(schedule, initial, gossip, Ticks(loss=0.3, most_delay=4, pauses=0.2), seed=1)
    mean = exact_mean(initial)
    while run.error(mean) > 1e-6:
        run.tick()
        assert run.now < 500
        assert run.rounds <= 500
    all_of_it = held_and_on_its_way(run.snapshots)
    assert all_of_it.weight == 60
    assert np.allclose(np.asarray(all_of_it.total.values) / 60, mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["one_peer_exponential", "epidemic"])
def test_it_goes_with_schedules_whose_rounds_no_two_nodes_count_alike(kind: str) -> None:
    initial = states(12)
    schedule = build_schedule(TopologyConfig(kind="complete", schedule=kind, inexact=True), tuple(initial))
    run = Ticking(schedule, initial, GossipConfig(protocol="push_sum"), Ticks(loss=0.2, most_delay=2, pauses=0.3), 2)
    while run.error(exact_mean(initial)) > 1e-6:
        run.tick()
        assert run.now < 1000


def uneven(phases: int, increment: Mapping[str, float]) -> Plan[float]:
    """A star, whose middle has five neighbors where the others have one; each phase adds the same."""
    gossip = GossipConfig(protocol="push_sum", settle_rounds=120, deadline_s=5.0)
    plan = floats("push_sum", "star", 6, increment=lambda name, _phase: increment[name], gossip=gossip, phases=phases)
    return replace(plan, weather=Weather(latency_s=0.05, queued=True))


def test_unequal_degrees_and_speeds_go_to_the_uniform_mean_while_training() -> None:
    steps = {f"n{place}": float(place**2) for place in range(6)}
    plan = replace(uneven(10, steps), phase_s={"n0": 0.3, "n3": 4.0})
    wanted = sum(plan.initial.values()) / 6 + 10 * sum(steps.values()) / 6
    for snapshot in World(plan).run().snapshots().values():
        assert snapshot.state == pytest.approx(wanted, abs=1e-6)


def test_a_pull_of_each_node_to_its_own_optimum_ends_at_the_mean_of_the_optima() -> None:
    """Node i is pulled to i²: the minimum of the mean loss is 9.1667, wherever the weights are."""
    world = World(uneven(400, dict.fromkeys((f"n{place}" for place in range(6)), 0.0)))
    optimum = {name: float(place**2) for place, name in enumerate(world.bodies)}
    phases = dict.fromkeys(optimum, 0)
    trained = world._trained

    def pulled(name: str, effect: Train[float], life: int) -> None:
        phases[name] += 1
        rate = 0.5 / (1 + 0.1 * phases[name])
        step = rate * (optimum[name] - effect.snapshot)
        world.plan = replace(world.plan, increment=lambda _name, _phase: step)
        trained(name, effect, life)

    world._trained = pulled  # type: ignore[method-assign]
    snapshots = world.run().snapshots()
    for snapshot in snapshots.values():
        assert snapshot.state == pytest.approx(np.mean(list(optimum.values())), abs=0.3)


class Alone:
    """One node of three, with a hand on what it hears."""

    def __init__(self, phases: int) -> None:
        schedule = build_schedule(TopologyConfig(kind="complete"), ("a", "b", "c"))
        gossip = GossipConfig(protocol="push_sum", deadline_s=1.0, linger_s=5.0)
        snapshot = Snapshot(state=3.0, unmixed=3.0)
        parts = Parts("a", schedule, Weighted[float](), gossip, phases, 1, Publishable, snapshot)
        self.node: Protocol[float] = PROTOCOLS["push_sum"](parts)

    def hear(self, sender: str, weight: float, total: float, now: float = 0.0) -> bool:
        """A neighbor's totals come; whether the node begins to train."""
        flow = Flow(weight, widened(total))
        return self.trains(Received(sender, 0.0, Header(1, 0, push_weight=weight), flow), now)

    def trains(self, event: Event[float], now: float) -> bool:
        return any(isinstance(effect, Train) for effect in self.node.handle(event, now))

    @property
    def weight(self) -> float:
        assert self.node.snapshot.mass is not None
        return self.node.snapshot.mass.weight


def robbed() -> Alone:
    """A node that has just trained and is left with next to nothing: a neighbor has lost its memory of what it gave."""
    alone = Alone(phases=3)
    assert alone.trains(Started(), 0.0)
    alone.hear("b", 1.0, 3.0)
    assert alone.trains(Trained(0, 4.0, 1, 1.0, Receipt(1)), 0.5)
    alone.hear("b", 0.0, 0.0)
    assert alone.weight == pytest.approx(-1 / 3)
    before = alone.node.snapshot.state
    assert not alone.trains(Trained(1, before + 1.0, 1, 1.0, Receipt(2)), 1.0)
    # its own increment, and nothing that the weight would make of it
    assert alone.node.snapshot.state == before + 1.0
    return alone


def test_a_node_of_next_to_no_weight_waits_with_training_until_some_arrives() -> None:
    alone = robbed()
    assert not alone.hear("c", 0.25, 0.75, 1.5)
    assert alone.hear("c", 0.5, 1.5, 2.5)
    assert alone.weight == pytest.approx(1 / 6)


def test_a_node_of_no_weight_trains_all_the_same_when_none_came_until_the_deadline() -> None:
    alone = robbed()
    assert alone.trains(TimerFired(DEADLINE), 2.0)
    assert alone.weight < 0


@pytest.mark.parametrize("kind", ["ring", "star", "complete"])
def test_a_neighbor_that_takes_and_never_gives_stops_nobody(kind: str) -> None:
    gossip = GossipConfig(protocol="push_sum", settle_rounds=2, deadline_s=20.0, linger_s=30.0)
    plan = floats("push_sum", kind, 5, increment=lambda _name, _phase: 1.0, gossip=gossip, phases=60)
    plan = replace(plan, weather=Weather(latency_s=0.05, news=False), crashes=[Crash("n4", 1, None)])
    world = World(plan).run()
    assert {name: body.protocol.snapshot.phase for name, body in world.bodies.items()} == {
        **dict.fromkeys(("n0", "n1", "n2", "n3"), 60),
        "n4": 0,
    }
    # what it holds is two shares of each neighbor, and the others go on at their own speed
    assert world.now < 60 + 20 + 60


@pytest.mark.parametrize("codec", ["top_k", "random_k"])
@pytest.mark.slow
def test_codecs_that_leave_much_away_find_the_mean_too(codec: str) -> None:
    initial = states(8)
    schedule = build_schedule(TopologyConfig(kind="ring"), tuple(initial))
    run = Ticking(schedule, initial, GossipConfig(protocol="push_sum", codec=codec), Ticks(), seed=1)
    for _ in range(900):
        run.tick()
    assert run.error(exact_mean(initial)) < 1e-4


def test_nothing_is_pushed_to_a_neighbor_whose_link_is_lost() -> None:
    alone = Alone(phases=0)
    sends = [effect for effect in alone.node.handle(Started(), 0.0) if isinstance(effect, Send)]
    assert {send.receiver: send.crossing.flow.weight for send in sends if send.crossing} == {
        "b": pytest.approx(1 / 3),
        "c": pytest.approx(1 / 3),
    }
    alone.node.handle(NeighborDown("b"), 0.5)
    sends = [effect for effect in alone.node.handle(TimerFired(DEADLINE), 1.0) if isinstance(effect, Send)]
    assert {send.receiver: send.crossing.flow.weight for send in sends if send.crossing} == {
        "b": pytest.approx(1 / 3),
        "c": pytest.approx(1 / 3 + 1 / 6),
    }
