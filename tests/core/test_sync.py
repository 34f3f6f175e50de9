from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats, kinds, names, schedule, trained

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import (
    Effect,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Send,
    SetTimer,
    Started,
    TimerFired,
    Train,
)
from gossipfl.core.influence import influence
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols.sync import Sync
from gossipfl.core.snapshot import Snapshot

PATIENT = GossipConfig(protocol="sync", deadline_s=1e5, linger_s=1e6, settle_rounds=3)
NEVER = GossipConfig(protocol="sync", deadline_s=1e9, linger_s=1.0, settle_rounds=1)


@st.composite
def undisturbed(draw: st.DrawFn) -> Plan[float]:
    count = draw(st.integers(3, 7))
    rounds, settle = draw(st.integers(1, 3)), draw(st.integers(0, 5))
    return floats(
        "sync",
        draw(st.sampled_from(["ring", "star", "complete", "path"])),
        count,
        increment=lambda name, phase: np.sin(int(name[1:]) * 7.0 + phase),
        gossip=PATIENT.model_copy(update={"rounds_per_phase": rounds, "settle_rounds": settle}),
        phases=draw(st.integers(1, 4)),
        phase_s=draw(st.dictionaries(st.sampled_from(names(count)), st.sampled_from([0.1, 10.0]))),
        exhausted_after=draw(st.dictionaries(st.sampled_from(names(count)), st.integers(0, 3), max_size=1)),
        weather=Weather(
            duplicates=draw(st.sampled_from([0.0, 0.5])), latency_s=draw(st.sampled_from([0.01, 1.0, 9.0]))
        ),
        seed=draw(st.integers(0, 2**32)),
    )


@settings(max_examples=60, deadline=None)
@given(plan=undisturbed())
def test_without_loss_the_mean_is_kept_in_any_order_and_with_duplicates(plan: Plan[float]) -> None:
    world = World(plan).run()
    drifts = [snapshot.drift for snapshot in world.snapshots().values()]
    assert abs(sum(drifts)) <= 1e-12 * len(drifts)
    assert world.unexplained() <= 1e-12
    assert not any(report.absent for _, report in world.reports)


@settings(max_examples=20, deadline=None)
@given(plan=undisturbed())
def test_without_loss_the_order_of_delivery_changes_no_state(plan: Plan[float]) -> None:
    first = World(plan).run().snapshots()
    second = World(replace(plan, seed=plan.seed + 1, weather=Weather(latency_s=3.0))).run().snapshots()
    assert {name: state.state for name, state in first.items()} == {name: state.state for name, state in second.items()}


@settings(max_examples=20, deadline=None)
@given(plan=undisturbed())
def test_without_loss_every_node_has_equal_influence(plan: Plan[float]) -> None:
    world = World(replace(plan, exhausted_after={})).run()
    assert np.allclose(influence(world.reports, names(len(plan.initial))), 1 / len(plan.initial))


def test_on_the_complete_graph_every_phase_ends_in_the_exact_mean() -> None:
    world = World(floats("sync", "complete", 5, gossip=PATIENT, increment=lambda name, _: float(int(name[1:])))).run()
    assert [snapshot.state for snapshot in world.snapshots().values()] == pytest.approx([2 + 3 * 2] * 5)


def test_a_node_that_dies_for_ever_is_not_waited_for_once_its_links_are_down() -> None:
    world = World(floats("sync", "ring", 5, gossip=NEVER, phases=6, crashes=[Crash("n2", 5, None)])).run()
    assert [body.finishes for body in world.bodies.values()] == [1, 1, 0, 1, 1]
    assert world.bodies["n0"].protocol.snapshot.step == 60


def test_a_node_that_was_away_for_long_joins_the_present_round_and_delays_nobody() -> None:
    gossip = GossipConfig(protocol="sync", deadline_s=500.0, linger_s=2000.0, settle_rounds=2)
    plan = floats("sync", "ring", 4, gossip=gossip, phases=30, weather=Weather(latency_s=0.01))
    world = World(replace(plan, crashes=[Crash("n1", 12, 10.0)])).run()
    snapshot = world.bodies["n1"].protocol.snapshot
    assert snapshot.round == 32
    # the phases in which the others went on without it are not made up for
    assert 100 <= snapshot.step < 250
    assert world.bodies["n3"].protocol.snapshot.step == 300
    finished = max(time for time, _, send in world.sends if send.header.settled)
    assert finished < 60
    mixed = [report for name, report in world.reports if name == "n1" and report.step > 150]
    assert not any(report.absent for report in mixed)


def test_a_node_that_comes_back_after_the_end_finds_the_last_round_and_finishes() -> None:
    gossip = GossipConfig(protocol="sync", deadline_s=50.0, linger_s=500.0, settle_rounds=2)
    plan = floats("sync", "ring", 4, gossip=gossip, phases=4, weather=Weather(latency_s=0.01))
    world = World(replace(plan, crashes=[Crash("n1", 6, 100.0)])).run()
    assert all(body.finishes == 1 for body in world.bodies.values())
    last = [report for name, report in world.reports if name == "n1"][-1]
    assert not last.absent


def test_a_straggler_slower_than_the_deadline_holds_nobody_up_and_the_drift_is_reported() -> None:
    gossip = GossipConfig(protocol="sync", deadline_s=1.0, linger_s=100.0, settle_rounds=2)
    plan = floats("sync", "complete", 4, gossip=gossip, phases=20, phase_s={"n0": 6.0}, weather=Weather(latency_s=0.01))
    world = World(plan).run()
    assert max(time for time, _, send in world.sends) < 20 * (1.1 + 1.0) + 10
    assert world.bodies["n0"].protocol.snapshot.step < 200
    assert world.unexplained() <= 1e-12


# ---- one node by hand ----


def one(gossip: GossipConfig = NEVER, snapshot: Snapshot[float] | None = None) -> Sync[float]:
    parts = Parts(
        name="n0",
        schedule=schedule("ring", 3),
        mixing=Weighted[float](),
        gossip=gossip,
        phases=4,
        local_steps=5,
        clear=Publishable,
        snapshot=snapshot or Snapshot(state=0.0, unmixed=0.0),
    )
    return Sync(parts)


def heard(sender: str, number: int, state: float = 0.0) -> Received[float]:
    return Received(sender, state, Header(round=number, step=0))


def only(kind: Any, effects: list[Effect[float]]) -> Any:
    (effect,) = [effect for effect in effects if isinstance(effect, kind)]
    return effect


def test_a_first_life_begins_with_training_and_says_nothing() -> None:
    assert kinds(one().handle(Started(), 0)) == ["Train"]


def test_a_trained_phase_of_another_version_is_ignored() -> None:
    node = one()
    node.handle(Started(), 0)
    assert node.handle(trained(1, 9.0), 1) == []
    assert node.snapshot.state == 0
    assert kinds(node.handle(trained(0, 9.0), 1)) == ["Checkpoint", "Send", "Send", "SetTimer"]
    assert node.handle(trained(0, 9.0), 1) == []
    assert node.snapshot.state == 9


def test_at_the_deadline_the_weight_of_a_missing_neighbor_falls_to_self() -> None:
    node = one(GossipConfig(protocol="sync", deadline_s=7.0))
    node.handle(Started(), 0)
    assert only(SetTimer, node.handle(trained(0, 3.0), 1)) == SetTimer("deadline", 7.0)
    assert node.handle(heard("n1", 0, 9.0), 2) == []
    report = only(Report, node.handle(TimerFired("deadline"), 8.0))
    assert report.weights == pytest.approx({"n0": 2 / 3, "n1": 1 / 3})
    assert report.absent == ("n2",)
    assert node.snapshot.state == pytest.approx(5)
    assert node.snapshot.drift == pytest.approx(2)


def test_a_neighbor_whose_numbers_were_no_state_has_spoken_and_is_absent() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(trained(0, 3.0), 1)
    assert node.handle(Heard("n2", Header(round=0, step=0), contributes=False), 2) == []
    report = only(Report, node.handle(heard("n1", 0, 9.0), 3))
    assert report.absent == ("n2",)
    assert node.snapshot.state == pytest.approx(5)
    # of what it says next it is mixed as ever
    node.handle(trained(1, 0.0), 4)
    node.handle(heard("n1", 1, 5.0), 5)
    assert only(Report, node.handle(heard("n2", 1, 8.0), 6)).absent == ()
    assert node.snapshot.state == pytest.approx(13 / 3)


def test_a_sum_is_nothing_where_states_are_read() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(trained(0, 3.0), 1)
    node.handle(heard("n1", 0, 9.0), 2)
    assert node.handle(Heard("n2", Header(round=0, step=0)), 3) == []
    assert node.snapshot.round == 0


def test_the_timer_of_an_earlier_round_ends_no_later_one() -> None:
    node = one(GossipConfig(protocol="sync", deadline_s=7.0))
    node.handle(Started(), 0)
    node.handle(trained(0), 1)
    node.handle(heard("n1", 0), 2)
    node.handle(heard("n2", 0), 2)
    node.handle(trained(1), 6)
    assert node.handle(TimerFired("deadline"), 8.0) == [SetTimer("deadline", 5.0)]
    assert node.snapshot.round == 1


def test_a_neighbor_whose_link_is_lost_is_absent_until_it_comes_back() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(trained(0), 1)
    node.handle(heard("n1", 0), 2)
    assert only(Report, node.handle(NeighborDown("n2"), 3)).absent == ("n2",)
    (again,) = node.handle(NeighborUp("n2"), 4)
    assert isinstance(again, Send)
    assert (again.receiver, again.header.round, again.replaceable) == ("n2", 0, False)
    node.handle(trained(1), 5)
    assert node.handle(heard("n1", 1), 6) == []


def test_a_message_that_came_late_or_early_is_not_mixed_in_this_round() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(trained(0), 1)
    node.handle(heard("n1", 1, 100.0), 1)
    node.handle(heard("n1", 0, 3.0), 2)
    node.handle(heard("n2", 0, 3.0), 2)
    assert node.snapshot.state == pytest.approx(2)
    node.handle(heard("n2", 0, 1000.0), 3)
    node.handle(trained(1, 2.0), 4)
    assert only(Report, node.handle(heard("n2", 1, 2.0), 5)).absent == ()
    assert node.snapshot.state == pytest.approx((2 + 100 + 2) / 3)


@pytest.mark.parametrize("event", [heard("n9", 0), heard("n1", 10**9), heard("n1", 5)])
def test_a_stranger_and_a_round_that_does_not_exist_change_nothing(event: Received[float]) -> None:
    node = one()
    node.handle(Started(), 0)
    assert node.handle(event, 1) == []
    node.handle(trained(0), 2)
    assert node.snapshot.round == 0


def test_a_node_back_in_the_middle_of_a_round_does_not_wait_for_who_has_ended_it() -> None:
    node = one(snapshot=Snapshot(state=1.0, unmixed=1.0, phase=2, step=10, round=1, receipt=Receipt(steps=10)))
    assert kinds(node.handle(Started(), 0)) == ["Send", "Send", "SetTimer"]
    assert node.handle(heard("n1", 2), 1) == []
    # both wait for this node in round 2: it trains for it
    assert kinds(node.handle(heard("n2", 2), 1)) == ["Train", "Checkpoint", "Report"]
    assert node.snapshot.round == 2


def test_a_spent_budget_ends_training_and_not_the_exchange() -> None:
    node = one()
    node.handle(Started(), 0)
    effects = node.handle(replace(trained(0), exhausted=True, steps=2), 1)
    assert only(SetTimer, effects).name == "deadline"
    node.handle(heard("n1", 0), 2)
    effects = node.handle(heard("n2", 0), 2)
    assert not any(isinstance(effect, Train) for effect in effects)
    sends = [effect for effect in effects if isinstance(effect, Send)]
    assert [(send.header.round, send.header.done) for send in sends] == [(1, True), (1, True)]
    assert node.snapshot.exhausted
    assert node.snapshot.step == 2
