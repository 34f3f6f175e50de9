import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats, names, schedule

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.influence import influence


@st.composite
def unreliable(draw: st.DrawFn) -> Plan[float]:
    count = draw(st.integers(3, 6))
    gossip = GossipConfig(
        settle_rounds=50,
        deadline_s=10.0,
        linger_s=1000.0,
        staleness_discount=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )
    weather = Weather(
        loss=draw(st.sampled_from([0.0, 0.4])),
        duplicates=draw(st.sampled_from([0.0, 0.4])),
        latency_s=draw(st.sampled_from([0.01, 1.0, 5.0])),
        in_order=draw(st.booleans()),
    )
    node = st.sampled_from(names(count))
    return floats(
        "wait_free",
        draw(st.sampled_from(["ring", "star", "complete", "path"])),
        count,
        gossip=gossip,
        weather=weather,
        phase_s=draw(st.dictionaries(node, st.sampled_from([0.1, 10.0]))),
        crashes=draw(st.lists(st.builds(Crash, node, st.integers(1, 60), st.sampled_from([1.0, 30.0])), max_size=1)),
        seed=draw(st.integers(0, 2**32)),
    )


@settings(max_examples=40, deadline=None)
@given(plan=unreliable())
def test_nodes_agree_under_any_order_duplicates_fair_loss_and_a_crash(plan: Plan[float]) -> None:
    states = [snapshot.state for snapshot in World(plan).run().snapshots().values()]
    assert max(states) - min(states) <= 0.05 * (max(plan.initial.values()))


@settings(max_examples=20, deadline=None)
@given(plan=unreliable())
def test_late_training_of_a_slow_node_reaches_the_farthest_node(plan: Plan[float]) -> None:
    slow = replace(
        plan,
        schedule=schedule("path", len(plan.initial)),
        initial=dict.fromkeys(plan.initial, 0.0),
        phase_s={"n0": 50.0},
        phases=3,
        increment=lambda name, phase: float(name == "n0" and phase == 2),
    )
    world = World(slow).run()
    states = [snapshot.state for snapshot in world.snapshots().values()]
    assert min(states) > 0.5 * max(states) > 0


@settings(max_examples=30, deadline=None)
@given(plan=unreliable())
def test_a_settled_node_publishes_only_in_answer_to_an_unsettled_one(plan: Plan[float]) -> None:
    # links stay as they are and nobody dies, so that nothing is sent again for them
    world = World(replace(plan, crashes=())).run()
    degree = {name: len(plan.schedule.neighbors(name)) for name in plan.initial}
    unsettled = [(sender, send.receiver) for _, sender, send in world.sends if not send.header.settled]
    for name in plan.initial:
        heard = sum(receiver == name for _, receiver in unsettled) * 2  # a duplicate is answered too
        said = sum(sender == name and send.header.settled for _, sender, send in world.sends)
        assert said <= degree[name] * (1 + heard)


@pytest.mark.parametrize("kind", ["ring", "complete", "star"])
@pytest.mark.parametrize("slow", [1.0, 4.0])
def test_training_is_neither_lost_nor_counted_twice_by_mixing(kind: str, slow: float) -> None:
    reached = []
    for seed in range(3):
        plan = floats(
            "wait_free",
            kind,
            6,
            initial=dict.fromkeys(names(6), 0.0),
            increment=lambda _name, _phase: 1.0,
            phases=25,
            phase_s=dict(zip(names(6), itertools.cycle([1.0, slow]), strict=False)),
            gossip=GossipConfig(deadline_s=1e4, linger_s=1e5),
            weather=Weather(latency_s=0.05, in_order=True),
            seed=seed,
        )
        states = [snapshot.state for snapshot in World(plan).run().snapshots().values()]
        reached.append(sum(states) / len(states) / 25)
    assert np.mean(reached) == pytest.approx(1, abs=0.04)


def test_equal_nodes_have_nearly_equal_influence() -> None:
    plan = floats("wait_free", "ring", 6, phases=30, weather=Weather(latency_s=0.3, in_order=True))
    share = influence(World(replace(plan, gossip=GossipConfig(linger_s=1e4))).run().reports, names(6))
    assert np.abs(share * 6 - 1).max() < 0.25


@pytest.mark.parametrize("news", [True, False])
def test_a_node_that_dies_for_ever_keeps_nobody_from_finishing(news: bool) -> None:  # noqa: FBT001  # a parameter
    plan = floats("wait_free", "ring", 5, crashes=[Crash("n1", 7, None)], weather=Weather(news=news))
    world = World(replace(plan, gossip=GossipConfig(deadline_s=5.0, linger_s=20.0))).run()
    assert [body.finishes for body in world.bodies.values()] == [1, 0, 1, 1, 1]
