"""One wait_free node, event by event."""

from dataclasses import replace

import pytest
from tests.core.scheduler import kinds, schedule, trained

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import (
    Effect,
    Finish,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Send,
    SetTimer,
    Started,
    TimerFired,
)
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols import wait_free
from gossipfl.core.protocols.pace import OwnPace
from gossipfl.core.snapshot import Snapshot


def one(snapshot: Snapshot[float] | None = None, *, phases: int = 2, **settings: float) -> OwnPace[float]:
    gossip = GossipConfig.model_validate({"settle_rounds": 2, "deadline_s": 5, "linger_s": 20, **settings})
    parts = Parts(
        name="n0",
        schedule=schedule("ring", 3),
        mixing=Weighted[float](),
        gossip=gossip,
        phases=phases,
        local_steps=5,
        clear=Publishable,
        snapshot=snapshot or Snapshot(state=0.0, unmixed=0.0),
    )
    return wait_free.build(parts)


def heard(
    sender: str, state: float, step: int = 0, *, counted: int | None = None, settled: bool = False
) -> Received[float]:
    done = counted is not None
    return Received(sender, state, Header(0, step, done=done, settled=settled, settle_rounds=counted or 0))


def report_of(effects: list[Effect[float]]) -> Report:
    (report,) = [effect for effect in effects if isinstance(effect, Report)]
    return report


def test_a_first_life_begins_with_training_and_says_nothing() -> None:
    assert kinds(one().handle(Started(), 0)) == ["Train"]


def test_a_later_life_begins_with_training_and_is_heard_at_once() -> None:
    node = one(Snapshot(state=4.0, unmixed=4.0, phase=1, step=5, round=1, receipt=Receipt(steps=5)))
    effects = node.handle(Started(), 0)
    assert kinds(effects) == ["Train", "Send", "Send"]
    assert (effects[0].version, effects[0].first_step, effects[0].snapshot) == (1, 5, 4.0)  # type: ignore[union-attr]


def test_a_trained_phase_is_mixed_checkpointed_and_sent_while_the_next_one_trains() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(heard("n1", 9.0), 1)
    effects = node.handle(trained(0, 3.0), 2)
    assert kinds(effects) == ["Train", "Checkpoint", "Send", "Send", "Report"]
    # the neighbor has not trained yet: it is mixed with the state before training, and the increment is kept whole
    assert node.snapshot.state == pytest.approx(9 / 3 + 3)
    assert report_of(effects).increment_weight == 1


def test_a_neighbor_that_has_trained_as_much_is_mixed_with_the_state_after_training() -> None:
    node = one()
    node.handle(Started(), 0)
    node.handle(heard("n1", 9.0, step=5), 1)
    report = report_of(node.handle(trained(0, 3.0), 2))
    assert node.snapshot.state == pytest.approx((9 + 3 + 3) / 3)
    assert report.increment_weight == pytest.approx(2 / 3)


def test_early_and_late_neighbors_keep_their_weights() -> None:
    node = one(Snapshot(state=6.0, unmixed=6.0))
    node.handle(Started(), 0)
    node.handle(heard("n1", 9.0, step=5), 1)
    node.handle(heard("n2", 12.0, step=0), 1)
    report = report_of(node.handle(trained(0, 6.0), 2))
    assert report.weights == pytest.approx({"n0": 1 / 3, "n1": 1 / 3, "n2": 1 / 3})
    assert node.snapshot.state == pytest.approx(9)


def test_a_trained_phase_of_another_version_is_ignored() -> None:
    node = one()
    node.handle(Started(), 0)
    assert node.handle(trained(1, 9.0), 1) == []
    assert node.handle(trained(0, 9.0), 1) != []
    assert node.handle(trained(0, 9.0), 1) == []
    assert node.snapshot.state == 9


@pytest.mark.parametrize(("discount", "weights"), [(0.0, [1 / 3, 0, 0, 0]), (0.5, [1 / 3, 1 / 6, 1 / 12, 0])])
def test_a_reused_contribution_counts_less_and_at_last_not_at_all(discount: float, weights: list[float]) -> None:
    node = one(phases=9, staleness_discount=discount, max_staleness=2)
    node.handle(Started(), 0)
    node.handle(heard("n1", 1.0), 0)
    reports = [report_of(node.handle(trained(phase), phase)) for phase in range(4)]
    assert [report.weights.get("n1", 0) for report in reports] == pytest.approx(weights)
    assert [report.staleness["n1"] for report in reports] == [0, 1, 2, 3]
    assert all("n1" in (*report.absent, *report.sources) for report in reports)
    assert reports[-1].absent == ("n1", "n2")


def settling() -> OwnPace[float]:
    node = one(phases=1)
    node.handle(Started(), 0)
    effects = node.handle(trained(0), 1)
    assert kinds(effects) == ["Checkpoint", "Send", "Send", "SetTimer", "Report"]
    return node


def test_a_settling_round_waits_for_every_neighbor_and_counts_when_all_are_done() -> None:
    node = settling()
    assert node.handle(heard("n1", 3.0, counted=0), 2) == []
    assert kinds(node.handle(heard("n2", 3.0, counted=0), 2)) == ["Send", "Send", "SetTimer", "Report"]
    assert node.snapshot.settle_rounds == 1


def test_a_settling_round_does_not_count_while_a_neighbor_trains_or_is_behind() -> None:
    node = settling()
    node.handle(heard("n1", 3.0, counted=0), 2)
    assert report_of(node.handle(heard("n2", 3.0), 2)).sources.keys() == {"n1", "n2"}
    assert node.snapshot.settle_rounds == 0


def test_at_the_deadline_a_settling_round_takes_what_there_is() -> None:
    node = settling()
    node.handle(heard("n1", 3.0, counted=0), 2)
    assert report_of(node.handle(TimerFired("deadline"), 6)).absent == ("n2",)


def test_a_settled_node_answers_an_unsettled_neighbor_once_and_a_settled_one_never() -> None:
    node = settling()
    for event in (heard("n1", 3.0, counted=0), heard("n2", 3.0, counted=0), heard("n1", 3.0, counted=1)):
        node.handle(event, 2)
    effects = node.handle(heard("n2", 3.0, counted=1), 3)
    assert kinds(effects) == ["Checkpoint", "Send", "Send", "Report", "SetTimer"]
    assert [effect.header.settled for effect in effects if isinstance(effect, Send)] == [True, True]
    assert kinds(node.handle(heard("n1", 9.0, counted=1), 4)) == ["Send", "Send", "Report"]
    assert kinds(node.handle(heard("n1", 9.0, counted=2, settled=True), 5)) == ["Report"]
    effects = node.handle(heard("n2", 9.0, counted=2, settled=True), 6)
    assert kinds(effects) == ["Report", "Checkpoint", "Finish"]
    assert kinds(node.handle(heard("n2", 9.0, counted=1), 7)) == ["Send", "Send", "Report"]


def test_a_settled_node_leaves_when_a_neighbor_has_been_silent_for_the_linger_time() -> None:
    node = one(phases=1, settle_rounds=0)
    node.handle(Started(), 0)
    assert node.handle(trained(0), 1)[-1] == SetTimer("linger", 20.0)
    node.handle(heard("n1", 0.0, counted=0, settled=True), 2)
    node.handle(heard("n2", 0.0, counted=0), 15)
    assert node.handle(TimerFired("linger"), 21) == [SetTimer("linger", 14.0)]
    assert isinstance(node.handle(TimerFired("linger"), 35)[-1], Finish)
    assert node.handle(TimerFired("linger"), 99) == []


def test_a_node_cut_off_from_everybody_settles_alone_only_after_the_linger_time() -> None:
    node = settling()
    node.handle(NeighborDown("n1"), 2)
    node.handle(NeighborDown("n2"), 2)
    assert node.handle(TimerFired("deadline"), 6) == [SetTimer("deadline", 5.0)]
    assert node.snapshot.settle_rounds == 0
    assert kinds(node.handle(TimerFired("deadline"), 21))[:3] == ["Checkpoint", "Send", "Send"]
    assert node.snapshot.settle_rounds == 2


def test_a_neighbor_whose_link_comes_up_gets_the_newest_publication() -> None:
    node = one()
    assert node.handle(NeighborUp("n1"), 0) == []
    node.handle(Started(), 0)
    node.handle(trained(0, 3.0), 2)
    (again,) = node.handle(NeighborUp("n1"), 3)
    assert isinstance(again, Send)
    assert (again.receiver, again.content.state, again.header.step) == ("n1", 3.0, 5)


def test_a_stranger_changes_nothing() -> None:
    node = one()
    node.handle(Started(), 0)
    assert node.handle(heard("n9", 100.0), 1) == []
    assert report_of(node.handle(trained(0), 2)).sources == {}


def test_a_spent_budget_ends_training_and_not_the_mixing() -> None:
    node = one(phases=5)
    node.handle(Started(), 0)
    effects = node.handle(replace(trained(0), exhausted=True, steps=2), 1)
    assert "Train" not in kinds(effects)
    assert all(effect.header.done for effect in effects if isinstance(effect, Send))
    node.handle(heard("n1", 3.0), 2)
    assert kinds(node.handle(heard("n2", 3.0), 2)) == ["Send", "Send", "SetTimer", "Report"]
