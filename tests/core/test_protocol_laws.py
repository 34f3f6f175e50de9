"""Laws of every protocol, whatever the network and the nodes do. The scheduler checks more while it runs."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats, names, schedule

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Stopped
from gossipfl.core.influence import influence
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.state import AdapterSpec, AdapterState, Segment

AVERAGING = sorted(PROTOCOLS.keys() - {"noloco", "pairwise", "push_sum"})
"""Protocols whose states are averages of states; of the others there are laws of their own."""
protocols = pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
KINDS = ("ring", "star", "complete", "path")
quick = settings(max_examples=25, deadline=None)


@st.composite
def plans(draw: st.DrawFn, protocol: str, *, loss: float = 0.3, crashes: bool = True) -> Plan[float]:
    count = draw(st.integers(3, 6))
    node = st.sampled_from(names(count))
    gossip = GossipConfig(
        protocol=protocol,
        rounds_per_phase=1 if protocol == "noloco" else draw(st.integers(1, 3)),
        settle_rounds=draw(st.integers(0, 4)),
        deadline_s=draw(st.sampled_from([2.0, 20.0])),
        linger_s=30.0,
        staleness_discount=draw(st.sampled_from([0.0, 0.5, 1.0])),
        max_staleness=draw(st.integers(1, 4)),
    )
    weather = Weather(
        loss=draw(st.sampled_from([0.0, loss])),
        duplicates=draw(st.sampled_from([0.0, 0.3])),
        latency_s=draw(st.sampled_from([0.01, 0.5, 3.0])),
        in_order=draw(st.booleans()),
        news=draw(st.booleans()),
    )
    crash = st.builds(Crash, node, st.integers(1, 40), st.sampled_from([0.1, 5.0, 50.0, None]))
    return floats(
        protocol,
        draw(st.sampled_from(KINDS)),
        count,
        increment=lambda name, phase: float(int(name[1:]) - phase),
        gossip=gossip,
        weather=weather,
        phases=draw(st.integers(1, 4)),
        phase_s=draw(st.dictionaries(node, st.sampled_from([0.2, 5.0]))),
        exhausted_after=draw(st.dictionaries(node, st.integers(0, 3), max_size=1)),
        crashes=draw(st.lists(crash, max_size=2)) if crashes else (),
        leaves=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32)),
    )


@protocols
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_run_ends_in_each_life_explains_its_drift_and_mixes_fractions(protocol: str, data: st.DataObject) -> None:
    """Three laws on the same runs."""
    world = World(data.draw(plans(protocol))).run()
    assert_every_living_node_finishes_once_a_life(world)
    assert world.unexplained() <= 1e-12, "the drift of the mean is exactly the one that is reported"
    assert_weights_are_fractions_that_sum_to_one(world)


def assert_every_living_node_finishes_once_a_life(world: World[float]) -> None:
    for name, body in world.bodies.items():
        left = world.plan.leaves and body.finishes > 0
        dead_for_ever = any(crash.node == name and crash.restart_s is None for crash in world.plan.crashes)
        assert body.alive or left or dead_for_ever
        assert not body.alive or 1 <= body.finishes <= 1 + body.restarts


def assert_weights_are_fractions_that_sum_to_one(world: World[float]) -> None:
    for name, report in world.reports:
        assert sum(report.weights.values()) == pytest.approx(1, abs=1e-12)
        assert all(0 <= weight <= 1 + 1e-12 for weight in report.weights.values())
        assert name in report.weights
        assert set(report.absent).isdisjoint(report.sources)
        assert report.sources.keys() | {name} == report.weights.keys()


@pytest.mark.parametrize("protocol", AVERAGING)
@quick
@given(data=st.data())
def test_without_training_every_state_stays_in_the_convex_hull(protocol: str, data: st.DataObject) -> None:
    plan = replace(data.draw(plans(protocol)), increment=lambda _name, _phase: 0.0)
    highest = max(plan.initial.values())
    for snapshot in World(plan).run().snapshots().values():
        assert -1e-12 <= snapshot.state <= highest + 1e-12


@protocols
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_equal_seeds_give_equal_runs(protocol: str, data: st.DataObject) -> None:
    plan = data.draw(plans(protocol))
    first, second = World(plan).run(), World(plan).run()
    assert first.snapshots() == second.snapshots()
    assert first.reports == second.reports
    assert first.sends == second.sends


@protocols
@quick
@given(data=st.data())
def test_influence_is_a_share_of_every_node(protocol: str, data: st.DataObject) -> None:
    plan = data.draw(plans(protocol, crashes=False))
    world = World(plan).run()
    share = influence(world.reports, names(len(plan.initial)))
    assert share.shape == (len(plan.initial),)
    assert share.sum() == pytest.approx(1)
    assert (share >= 0).all()


@pytest.mark.parametrize("protocol", AVERAGING)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_influence_explains_the_final_mean(protocol: str, data: st.DataObject) -> None:
    plan = data.draw(plans(protocol, crashes=False))
    plan = replace(plan, exhausted_after={}, initial=dict.fromkeys(plan.initial, 0.0))
    # one node trains at a time: what reaches the mean is that node's share
    reached = [_mean_state(replace(plan, increment=_only(name))) for name in plan.initial]
    share = influence(World(plan).run().reports, names(len(plan.initial)))
    assert np.allclose(share, np.array(reached) / sum(reached), atol=1e-9)


def _only(node: str) -> Callable[[str, int], float]:
    return lambda name, _phase: float(name == node)


def _mean_state(plan: Plan[float]) -> float:
    snapshots = World(plan).run().snapshots()
    return sum(snapshot.state for snapshot in snapshots.values()) / len(snapshots)


@protocols
def test_adapters_obey_the_same_law_of_drift(protocol: str) -> None:
    spec = AdapterSpec((Segment("a", (7, 3)), Segment("b", (5,))))
    rng = np.random.default_rng(0)

    def draw() -> AdapterState:
        return AdapterState(spec, rng.standard_normal(spec.size).astype(np.float32))

    initial = {name: draw() for name in names(5)}
    steps: Mapping[tuple[str, int], AdapterState] = {(name, phase): draw() for name in initial for phase in range(4)}
    plan = Plan(
        protocol,
        schedule("ring", 5),
        initial,
        AdapterState.zeros(spec),
        lambda name, phase: steps[name, phase],
        phases=4,
        gossip=GossipConfig(deadline_s=5, settle_rounds=6),
        weather=Weather(loss=0.2, duplicates=0.2),
    )
    world = World(plan).run()
    assert world.unexplained() <= 1e-5
    assert all(np.isfinite(snapshot.state.vector).all() for snapshot in world.snapshots().values())


@protocols
@pytest.mark.parametrize("after", range(1, 30, 3))
def test_a_node_that_crashes_anywhere_goes_on_at_the_step_of_its_checkpoint(protocol: str, after: int) -> None:
    plan = floats(protocol, "ring", 4, phases=5, increment=lambda _name, _phase: 1.0)
    plan = replace(plan, weather=Weather(latency_s=0.01), gossip=GossipConfig(deadline_s=5, linger_s=20))
    world = World(replace(plan, crashes=[Crash("n1", after, 0.05)])).run()
    body = world.bodies["n1"]
    # a node alone is done after its start and three effects a phase
    assert body.restarts == (protocol != "alone" or after <= 1 + 3 * 5)
    # every increment in the state is one phase of ten steps, none twice, none missing
    assert body.protocol.snapshot.step == 10 * len(body.increments)
    assert world.unexplained() <= 1e-12
    # a short absence costs no training
    assert body.protocol.snapshot.step == 50


@protocols
def test_training_goes_on_before_disk_and_network(protocol: str) -> None:
    world = World(floats(protocol, "ring", 4, phases=3))
    lists: list[list[str]] = []
    for body in world.bodies.values():
        _spy(body.protocol, lists)
    world.run()
    trained = [kinds for kinds in lists if "Train" in kinds]
    assert len(trained) == 4 * 3
    assert all(kinds[0] == "Train" for kinds in trained)
    # that a checkpoint stands before what it makes durable is sent, the scheduler checks in every run


def _spy(protocol: object, lists: list[list[str]]) -> None:
    handle = protocol.handle  # type: ignore[attr-defined]

    def spied(event: object, now: float) -> object:
        effects = handle(event, now)
        lists.append([type(effect).__name__ for effect in effects])
        return effects

    protocol.handle = spied  # type: ignore[attr-defined]


@protocols
def test_a_stop_asks_for_a_checkpoint_of_the_state_as_it_is(protocol: str) -> None:
    world = World(floats(protocol, "ring", 3)).run()
    node = world.bodies["n0"].protocol
    (effect,) = node.handle(Stopped(), world.now)
    assert effect.snapshot == node.snapshot  # type: ignore[union-attr]
