"""sync where a node learns sums only: all of a round's senders, or none."""

import pytest

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import (
    Effect,
    Heard,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Send,
    Started,
    Summed,
    TimerFired,
)
from gossipfl.core.messages import Header, Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols.sync import DEADLINE, Sync
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology import build_schedule

OTHERS = ("b", "c", "d")
ROUNDS = 6


def started() -> tuple[Sync[float], list[Effect[float]]]:
    """Node `a` of a complete graph of four, in its first round, at 8."""
    parts = Parts(
        name="a",
        schedule=build_schedule(TopologyConfig(kind="complete"), ["a", *OTHERS]),
        mixing=Weighted(),
        gossip=GossipConfig(protocol="sync", deadline_s=10.0, settle_rounds=ROUNDS),
        phases=0,
        local_steps=1,
        clear=Publishable,
        snapshot=Snapshot(state=8.0, unmixed=8.0, receipt=Receipt()),
        sums_only=True,
    )
    node = Sync(parts)
    return node, node.handle(Started(), 0.0)


def heard(node: Sync[float], *names: str, round: int = 0, contributes: bool = True) -> list[Effect[float]]:
    """What follows when words of these arrive."""
    effects = []
    for name in names:
        effects += node.handle(Heard(name, Header(round, 0), contributes=contributes), 1.0)
    return effects


def reports(effects: list[Effect[float]]) -> list[Report]:
    return [effect for effect in effects if isinstance(effect, Report)]


def test_a_round_waits_for_its_sum_and_mixes_it_with_the_weight_of_all_senders() -> None:
    node, _ = started()
    assert reports(heard(node, *OTHERS)) == []
    (report,) = reports(node.handle(Summed(0, 4.0), 1.0))
    assert node.snapshot.state == pytest.approx(0.25 * 8.0 + 0.75 * 4.0)
    assert node.snapshot.round == 1
    assert (report.absent, sorted(report.weights)) == ((), ["a", *OTHERS])
    assert sorted(report.sources) == list(OTHERS)


def test_a_sum_that_comes_early_waits_for_its_round() -> None:
    node, _ = started()
    heard(node, *OTHERS)
    heard(node, *OTHERS, round=1)
    assert reports(node.handle(Summed(1, 0.0), 1.0)) == []
    assert [report.round for report in reports(node.handle(Summed(0, 8.0), 1.0))] == [1, 2]
    assert node.snapshot.state == pytest.approx(2.0)


@pytest.mark.parametrize("names", [(), ("b",), ("b", "d")])
def test_a_sender_missing_at_the_deadline_skips_the_whole_round(names: tuple[str, ...]) -> None:
    node, _ = started()
    assert reports(heard(node, *names)) == []
    (report,) = reports(node.handle(TimerFired(DEADLINE), 10.0))
    assert (node.snapshot.state, node.snapshot.round) == (8.0, 1)
    assert report.absent == OTHERS
    assert report.weights == {"a": 1.0}


def test_a_sender_whose_link_is_lost_is_waited_for_until_the_deadline() -> None:
    node, _ = started()
    node.handle(NeighborDown("c"), 1.0)
    assert reports(heard(node, "b", "d")) == []
    node.handle(NeighborUp("c"), 2.0)
    heard(node, "c")
    (report,) = reports(node.handle(Summed(0, 4.0), 3.0))
    assert report.absent == ()
    node.handle(NeighborDown("c"), 4.0)
    heard(node, "b", "d", round=1)
    (report,) = reports(node.handle(TimerFired(DEADLINE), 14.0))
    assert report.absent == OTHERS


def test_a_sender_that_sits_the_round_out_skips_it_as_soon_as_all_are_heard() -> None:
    node, _ = started()
    heard(node, "b", contributes=False)
    (report,) = reports(heard(node, "c", "d"))
    assert report.absent == OTHERS


def test_contributions_that_do_not_belong_together_skip_the_round() -> None:
    node, _ = started()
    heard(node, *OTHERS)
    (report,) = reports(node.handle(Summed(0, None), 1.0))
    assert (report.absent, node.snapshot.state) == (OTHERS, 8.0)


def test_a_state_that_can_be_read_is_none_of_a_nodes_that_learn_sums() -> None:
    node, _ = started()
    for name in OTHERS:
        assert node.handle(Received(name, 1e9, Header(0, 0)), 1.0) == []
    assert (node.snapshot.state, node.snapshot.round) == (8.0, 0)


def test_late_sums_and_words_of_strangers_change_nothing() -> None:
    node, _ = started()
    heard(node, *OTHERS)
    node.handle(Summed(0, 4.0), 1.0)
    state = node.snapshot.state
    assert node.handle(Summed(0, 99.0), 1.0) == []
    assert node.handle(Heard("z", Header(1, 0)), 1.0) == []
    assert node.snapshot.state == state


def test_a_node_is_settled_once_its_last_sum_is_there_and_not_before() -> None:
    node, effects = started()
    said = [effect.header.settled for effect in effects if isinstance(effect, Send)]
    for number in range(ROUNDS):
        heard(node, *OTHERS, round=number)
        effects = node.handle(Summed(number, 8.0), 1.0)
        sent = [effect for effect in effects if isinstance(effect, Send)]
        assert {send.receiver for send in sent} == {*OTHERS}
        last = number == ROUNDS - 1
        assert {(send.header.round, send.header.settled) for send in sent} == {(min(number + 1, ROUNDS - 1), last)}
    assert not any(said)


def test_all_rounds_end_though_no_sum_ever_comes() -> None:
    node, effects = started()
    sent = [effect for effect in effects if isinstance(effect, Send)]
    for number in range(ROUNDS):
        assert node.snapshot.round == number
        effects = node.handle(TimerFired(DEADLINE), 10.0 * (number + 1))
        sent += [effect for effect in effects if isinstance(effect, Send)]
    assert {send.header.round for send in sent} == set(range(ROUNDS))
    assert node.snapshot.state == 8.0
