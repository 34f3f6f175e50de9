"""`sync` on exact schedules while nodes leave: never a wrong average that passes for an exact one."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import Crash, Plan, Weather, World, floats, names, schedule

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Report

NODES = 8
ROUNDS = 160
GOSSIP = GossipConfig(protocol="sync", deadline_s=50.0, linger_s=500.0, settle_rounds=ROUNDS)
SCHEDULES = ["base", "one_peer_exponential", "random_matching"]


@st.composite
def leaving(draw: st.DrawFn, kinds: list[str]) -> Plan[float]:
    """Up to two of eight nodes are lost in the middle of the run: fewer than any schedule here needs to fall apart."""
    gone = draw(st.lists(st.sampled_from(names(NODES)), min_size=1, max_size=2, unique=True))
    kind = draw(st.sampled_from(kinds))
    plan = floats("sync", "ring", NODES, gossip=GOSSIP, phases=0)
    return replace(
        plan,
        schedule=schedule("ring", NODES, schedule=kind),
        initial={name: draw(st.floats(-100, 100)) for name in names(NODES)},
        crashes=[Crash(name, draw(st.integers(1, 60)), None) for name in gone],
        weather=Weather(latency_s=draw(st.sampled_from([0.01, 1.0])), queued=True),
        seed=draw(st.integers(0, 2**32)),
    )


def by_round(world: World[float]) -> dict[int, dict[str, Report]]:
    found: dict[int, dict[str, Report]] = defaultdict(dict)
    for name, report in world.reports:
        found[report.round - 1][name] = report
    return found


def matrix(reports: dict[str, Report], up: list[str]) -> np.ndarray:
    """Of one round, on the nodes that are up."""
    return np.array([[reports[name].weights.get(other, 0.0) for other in up] for name in up])


@settings(max_examples=60, deadline=None)
@given(plan=leaving(SCHEDULES))
@pytest.mark.slow
def test_those_who_stay_agree_within_the_hull_and_the_drift_says_what_moved(plan: Plan[float]) -> None:
    world = World(plan).run()
    states = [body.protocol.snapshot.state for body in world.bodies.values() if body.alive]
    low, high = min(plan.initial.values()), max(plan.initial.values())
    assert all(low - 1e-9 <= state <= high + 1e-9 for state in states)
    assert max(states) - min(states) <= 1e-6 * max(1.0, high - low)
    assert world.unexplained() <= 1e-9
    assert all(body.finishes == 1 for body in world.bodies.values() if body.alive)


@settings(max_examples=60, deadline=None)
@given(plan=leaving(["base", "random_matching"]))
@pytest.mark.slow
def test_once_all_know_who_left_the_mean_of_those_who_stay_is_kept(plan: Plan[float]) -> None:
    world = World(plan).run()
    up = [name for name, body in world.bodies.items() if body.alive]
    rounds = by_round(world)
    last_alone = max(
        (number for number, reports in rounds.items() if set(reports) - set(up)),
        default=-1,
    )
    # a node that left mixed its last round, and those ahead of it may have heard it in the few after
    known = last_alone + 8
    assert known < ROUNDS - 50
    for number in range(known, ROUNDS):
        W = matrix(rounds[number], up)
        assert np.array_equal(W, W.T)
        assert np.allclose(W.sum(axis=1), 1, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(plan=leaving(SCHEDULES))
@pytest.mark.slow
def test_a_round_that_moves_the_mean_of_those_who_stay_is_reported_by_somebody(plan: Plan[float]) -> None:
    world = World(plan).run()
    up = [name for name, body in world.bodies.items() if body.alive]
    for number, reports in by_round(world).items():
        if any(name not in reports for name in up) or set(reports) - set(up):
            continue
        W = matrix(reports, up)
        if not np.allclose(W.sum(axis=0), 1, atol=1e-12):
            absent = {name for report in reports.values() for name in report.absent}
            heard_of_the_lost = any(set(report.weights) - set(up) for report in reports.values())
            assert absent & (set(names(NODES)) - set(up)) or heard_of_the_lost, f"round {number}"


@pytest.mark.parametrize("kind", ["base", "one_peer_exponential"])
def test_with_a_node_down_no_period_is_exact_and_each_says_so(kind: str) -> None:
    plan = floats("sync", "ring", NODES, gossip=GOSSIP, phases=0, crashes=[Crash("n3", 1, None)])
    world = World(replace(plan, schedule=schedule("ring", NODES, schedule=kind), weather=Weather(latency_s=0.01))).run()
    rounds = by_round(world)
    # n3 is in every round of both schedules: somebody missed it each time
    assert all(any("n3" in report.absent for report in rounds[number].values()) for number in range(2, ROUNDS))
    states = {name: body.protocol.snapshot.state for name, body in world.bodies.items() if body.alive}
    moved = float(np.mean(list(states.values()))) - float(np.mean([plan.initial[name] for name in states]))
    # the drift that is reported is what moved, n3's own share of it included
    drift = sum(body.protocol.snapshot.drift for name, body in world.bodies.items() if name in states)
    assert drift / len(states) == pytest.approx(moved, abs=1e-12)
