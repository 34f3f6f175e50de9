"""A node alone does its own training, all of it, and says nothing."""

from dataclasses import replace

from tests.core.scheduler import Plan, World, floats

from gossipfl.core.events import NeighborDown, NeighborUp, Received
from gossipfl.core.messages import Header


def plan(**changes: object) -> Plan[float]:
    made = floats("alone", "complete", 4, phases=5, increment=lambda name, phase: float(name[1:]) + 1 / (phase + 1))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_state_is_the_start_and_the_own_increments_and_nothing_else() -> None:
    made = plan()
    for name, snapshot in World(made).run().snapshots().items():
        state = made.initial[name]
        for phase in range(5):
            state += made.increment(name, phase)
        assert snapshot.state == state
        assert snapshot.drift == 0
        assert (snapshot.phase, snapshot.round) == (5, 5)


def test_nothing_is_sent_and_every_phase_is_reported_once() -> None:
    world = World(plan()).run()
    assert not world.sends
    assert len(world.reports) == 4 * 5
    assert all(report.weights == {name: 1.0} for name, report in world.reports)


def test_a_node_whose_budget_is_spent_leaves() -> None:
    world = World(plan(exhausted_after={"n1": 2})).run()
    phases = {name: snapshot.phase for name, snapshot in world.snapshots().items()}
    assert phases == {"n0": 5, "n1": 3, "n2": 5, "n3": 5}
    assert all(body.finishes == 1 for body in world.bodies.values())


def test_what_a_node_hears_changes_nothing() -> None:
    protocol = World(plan()).run().bodies["n0"].protocol
    before = protocol.snapshot
    for event in (Received("n1", 100.0, Header(round=5, step=50)), NeighborUp("n2"), NeighborDown("n1")):
        assert protocol.handle(event, 99.0) == []
    assert protocol.snapshot == before
