"""`sync` on schedules that change: the world against dense matrices, rests, exact phases, crashes."""

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats, kinds, names, schedule, trained

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Header, Publishable, Received, Send, Snapshot, Started
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Schedule
from gossipfl.core.protocols.sync import Sync
from gossipfl.core.topology import build_schedule, is_doubly_stochastic, mixing_matrix
from gossipfl.errors import TopologyError

PATIENT = GossipConfig(protocol="sync", deadline_s=1e5, linger_s=1e6, settle_rounds=3)
TIME_VARYING = ["one_peer_exponential", "base", "random_edge", "random_matching", "random_regular", "epidemic"]


def increment(name: str, phase: int) -> float:
    return float(np.sin(int(name[1:]) * 7.0 + phase))


def planned(made: Schedule, gossip: GossipConfig = PATIENT, **fields: Any) -> Plan[float]:
    plan = floats("sync", "ring", len(made.nodes), gossip=gossip, increment=increment, **fields)
    return replace(plan, schedule=made)


def by_matrices(plan: Plan[float]) -> np.ndarray:
    """What all nodes hold at the end, when nothing is lost."""
    gossip = plan.gossip
    x = np.array([plan.initial[name] for name in plan.schedule.nodes])
    for round in range(plan.phases * gossip.rounds_per_phase + gossip.settle_rounds):
        phase, place = divmod(round, gossip.rounds_per_phase)
        if place == 0 and phase < plan.phases:
            x = x + [plan.increment(name, phase) for name in plan.schedule.nodes]
        x = mixing_matrix(plan.schedule, round) @ x
    return x


@st.composite
def undisturbed(draw: st.DrawFn) -> Plan[float]:
    count = draw(st.integers(2, 9))
    made = schedule("ring" if count > 2 else "path", count, schedule=draw(st.sampled_from(TIME_VARYING)), inexact=True)
    rounds, settle = draw(st.integers(1, 6)), draw(st.integers(0, 9))
    return planned(
        made,
        PATIENT.model_copy(update={"rounds_per_phase": rounds, "settle_rounds": settle}),
        phases=draw(st.integers(1, 4)),
        phase_s=draw(st.dictionaries(st.sampled_from(names(count)), st.sampled_from([0.1, 10.0, 100.0]))),
        weather=Weather(
            duplicates=draw(st.sampled_from([0.0, 0.5])),
            latency_s=draw(st.sampled_from([0.01, 1.0, 9.0])),
        ),
        seed=draw(st.integers(0, 2**32)),
    )


@settings(max_examples=150, deadline=None)
@given(plan=undisturbed())
def test_without_loss_the_world_is_the_product_of_the_matrices_in_any_order(plan: Plan[float]) -> None:
    world = World(plan).run()
    states = [snapshot.state for snapshot in world.snapshots().values()]
    assert states == pytest.approx(by_matrices(plan), abs=1e-12)
    assert not any(report.absent for _, report in world.reports)
    assert world.unexplained() <= 1e-12
    last = plan.phases * plan.gossip.rounds_per_phase + plan.gossip.settle_rounds
    assert all(snapshot.round == last for snapshot in world.snapshots().values())
    if all(is_doubly_stochastic(mixing_matrix(plan.schedule, round)) for round in range(last)):
        assert abs(sum(snapshot.drift for snapshot in world.snapshots().values())) <= 1e-11


@settings(max_examples=40, deadline=None)
@given(plan=undisturbed())
def test_all_finish_without_waiting_for_silence(plan: Plan[float]) -> None:
    # a node hears of the end from neighbors that it does not meet in the last round
    world = World(replace(plan, weather=replace(plan.weather, queued=True))).run()
    assert all(body.finishes == 1 for body in world.bodies.values())
    settled = {(name, send.receiver) for _, name, send in world.sends if send.header.settled}
    assert settled == {(name, peer) for name in plan.initial for peer in plan.schedule.neighbors(name)}
    assert all((body.finished_at or 0) < 1e5 for body in world.bodies.values())


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("phases", [1, 2, 3])
@pytest.mark.parametrize("nodes", [2, 5, 6, 7, 10, 12])
def test_a_period_a_phase_gives_the_exact_mean_after_every_phase(nodes: int, phases: int, degree: int) -> None:
    made = schedule("path", nodes, schedule="base", degree=min(degree, nodes - 1))
    assert_exact(made, phases)


@pytest.mark.parametrize("phases", [1, 2, 3])
@pytest.mark.parametrize("nodes", [2, 4, 8, 16])
def test_one_peer_exponential_is_as_exact_for_powers_of_two(nodes: int, phases: int) -> None:
    assert_exact(schedule("path", nodes, schedule="one_peer_exponential"), phases)


def assert_exact(made: Schedule, phases: int) -> None:
    assert made.period is not None
    gossip = PATIENT.model_copy(update={"rounds_per_phase": made.period, "settle_rounds": 0})
    plan = planned(made, gossip, phases=phases)
    world = World(plan).run()
    whole = [plan.initial[name] + sum(increment(name, phase) for phase in range(phases)) for name in made.nodes]
    states = [snapshot.state for snapshot in world.snapshots().values()]
    assert states == pytest.approx([np.mean(whole)] * len(states), abs=1e-13)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(TIME_VARYING),
    count=st.integers(3, 7),
    loss=st.sampled_from([0.0, 0.2]),
    crashes=st.lists(
        st.builds(Crash, st.sampled_from(names(3)), st.integers(1, 60), st.sampled_from([0.5, 30.0, None])), max_size=2
    ),
    seed=st.integers(0, 2**32),
)
def test_loss_and_crashes_end_nowhere_but_at_the_end(
    *, kind: str, count: int, loss: float, crashes: list[Crash], seed: int
) -> None:
    gossip = GossipConfig(protocol="sync", deadline_s=20.0, linger_s=100.0, rounds_per_phase=3, settle_rounds=5)
    plan = planned(
        schedule("ring", count, schedule=kind, inexact=True),
        gossip,
        phases=4,
        crashes=crashes,
        weather=Weather(loss=loss, latency_s=0.2),
        seed=seed,
    )
    world = World(plan).run()
    alive = [body for body in world.bodies.values() if body.alive]
    assert all(body.finishes >= 1 for body in alive)
    assert all(body.protocol.snapshot.round == 17 for body in alive)
    assert world.unexplained() <= 1e-11


def test_a_node_that_was_away_joins_where_the_others_are() -> None:
    gossip = GossipConfig(protocol="sync", deadline_s=50.0, linger_s=2000.0, settle_rounds=2, rounds_per_phase=3)
    for kind in TIME_VARYING[:2]:
        plan = planned(
            schedule("ring", 8, schedule=kind),
            gossip,
            phases=30,
            weather=Weather(latency_s=0.01),
            crashes=[Crash("n1", 30, 10.0)],
        )
        world = World(plan).run()
        assert world.bodies["n1"].protocol.snapshot.round == 92
        assert world.bodies["n3"].protocol.snapshot.step == 300
        assert 100 <= world.bodies["n1"].protocol.snapshot.step <= 280
        assert max(time for time, _, send in world.sends if send.header.settled) < 100


def test_a_sender_that_is_ahead_and_needs_nothing_takes_no_round_away() -> None:
    circle = build_schedule(
        TopologyConfig(kind="circle.yaml"),
        list(names(5)),
        nx.DiGraph([(f"n{number}", f"n{(number + 1) % 5}") for number in range(5)]),
    )
    plan = planned(circle, phases=4, phase_s={"n2": 30.0}, weather=Weather(latency_s=0.01))
    world = World(plan).run()
    assert not any(report.absent for _, report in world.reports)
    assert [snapshot.state for snapshot in world.snapshots().values()] == pytest.approx(by_matrices(plan))


# ---- one node by hand ----


def one(made: Schedule, name: str, **fields: Any) -> Sync[float]:
    parts = Parts(
        name=name,
        schedule=made,
        mixing=Weighted[float](),
        gossip=PATIENT.model_copy(update=fields),
        phases=1,
        local_steps=5,
        clear=Publishable,
        snapshot=Snapshot(state=0.0, unmixed=0.0),
    )
    return Sync(parts)


def test_rounds_of_rest_pass_at_once_and_without_a_message() -> None:
    # the fifth of five meets somebody in the third round only
    node = one(schedule("path", 5, schedule="base"), "n4", rounds_per_phase=5)
    node.handle(Started(), 0)
    assert kinds(node.handle(trained(0, 1.0), 1)) == ["Checkpoint", "Report", "Report", "Send", "SetTimer"]
    assert node.snapshot.round == 2
    effects = node.handle(Received("n0", 6.0, Header(round=2, step=5)), 2)
    assert kinds(effects)[:3] == ["Report", "Report", "Report"]
    assert node.snapshot.state == pytest.approx(0.2 * 1.0 + 0.8 * 6.0)


def test_settling_rounds_of_rest_pass_at_once_and_the_last_is_told_to_all() -> None:
    node = one(schedule("path", 5, schedule="base"), "n4", rounds_per_phase=5, settle_rounds=2)
    node.handle(Started(), 0)
    node.handle(trained(0), 1)
    effects = node.handle(Received("n0", 0.0, Header(round=2, step=5)), 2)
    sends = [effect for effect in effects if isinstance(effect, Send)]
    assert [(send.receiver, send.header.round, send.header.settled) for send in sends] == [("n0", 6, True)]
    assert node.snapshot.settle_rounds == 2


def test_a_state_for_a_round_in_which_it_is_not_to_be_heard_is_not_mixed() -> None:
    node = one(schedule("path", 5, schedule="base"), "n4", rounds_per_phase=5)
    node.handle(Started(), 0)
    node.handle(trained(0), 1)
    assert node.handle(Received("n0", 1000.0, Header(round=3, step=5)), 2) == []
    node.handle(Received("n0", 1.0, Header(round=2, step=5)), 3)
    assert node.snapshot.state == pytest.approx(0.8)


@pytest.mark.parametrize("kind", TIME_VARYING)
def test_wait_free_refuses_rounds_that_differ(kind: str) -> None:
    plan = replace(planned(schedule("ring", 6, schedule=kind, inexact=True)), protocol="wait_free")
    with pytest.raises(TopologyError, match=r"topology.schedule: wait_free nodes count rounds of their own"):
        World(plan)
