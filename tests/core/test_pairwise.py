"""pairwise: what one of two gains is what the other loses, whatever the network does and whoever asks whom."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.scheduler import World
from tests.core.test_protocol_laws import plans
from tests.core.test_push_sum import exact_mean, held_and_on_its_way, states
from tests.core.ticks import Ticking, Weather

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import Received, Send, Started, TimerFired
from gossipfl.core.messages import Publishable
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.protocols.pace import DEADLINE
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology import build_schedule
from gossipfl.errors import TopologyError


class Table:
    """Nodes without training, whose messages are delivered by hand.

    Attributes:
        under_way: (sender, message), oldest first.
    """

    def __init__(self, initial: Mapping[str, float], kind: str = "complete", rounds: int = 100) -> None:
        schedule = build_schedule(TopologyConfig(kind=kind), tuple(initial))
        gossip = GossipConfig(protocol="pairwise", settle_rounds=rounds, linger_s=1e6, deadline_s=1.0)
        self._parts = {
            name: Parts(name, schedule, Weighted[float](), gossip, 0, 1, Publishable, Snapshot(state, state))
            for name, state in initial.items()
        }
        self.nodes: dict[str, Protocol[float]] = {
            name: PROTOCOLS["pairwise"](parts) for name, parts in self._parts.items()
        }
        self.under_way: deque[tuple[str, Send[float]]] = deque()

    def tell(self, name: str, event: Started | TimerFired | Received[float], now: float = 0.0) -> None:
        for effect in self.nodes[name].handle(event, now):
            if isinstance(effect, Send):
                self.under_way.append((name, effect))

    def deliver(self, place: int = 0) -> None:
        sender, send = self.under_way[place]
        del self.under_way[place]
        flow = send.crossing.flow if send.crossing else None
        self.tell(send.receiver, Received(sender, send.packet.seen, send.header, flow))

    def meet_all(self) -> None:
        """Delivers until nothing is on its way."""
        for _ in range(5000):
            if not self.under_way:
                return
            self.deliver()
        raise AssertionError("they do not stop to talk")

    def ask(self, name: str, event: Started | TimerFired, now: float = 0.0) -> None:
        """One question and its answer; whatever else is said gets lost."""
        self.under_way.clear()
        self.tell(name, event, now)
        self.deliver()
        while self.under_way[0][1].receiver != name or not self.under_way[0][1].header.answers:
            self.under_way.popleft()
        self.deliver()
        self.under_way.clear()

    def restore(self, name: str, snapshot: Snapshot[float]) -> None:
        """A new life."""
        self.nodes[name] = PROTOCOLS["pairwise"](replace(self._parts[name], snapshot=snapshot))

    @property
    def snapshots(self) -> dict[str, Snapshot[float]]:
        return {name: node.snapshot for name, node in self.nodes.items()}

    @property
    def states(self) -> dict[str, float]:
        return {name: snapshot.state for name, snapshot in self.snapshots.items()}


def test_both_set_the_average() -> None:
    table = Table({"a": 1.0, "b": 4.0, "c": 7.0}, "path")
    table.tell("a", Started())
    table.deliver()
    assert table.states == {"a": 1.0, "b": 2.5, "c": 7.0}
    table.deliver()
    assert table.states == {"a": 2.5, "b": 2.5, "c": 7.0}


def test_of_two_that_ask_each_other_one_question_is_answered() -> None:
    table = Table({"a": 1.0, "b": 4.0}, rounds=1)
    table.tell("a", Started())
    table.tell("b", Started())
    assert [(sender, send.receiver) for sender, send in table.under_way] == [("a", "b"), ("b", "a")]
    table.deliver()
    table.deliver()
    # once, not twice, which would have crossed them
    assert table.states == {"a": 1.0, "b": 2.5}
    while table.under_way:
        table.deliver()
    assert table.states == {"a": 2.5, "b": 2.5}


def test_an_answer_that_is_lost_is_made_up_for_by_the_next_and_nothing_is_exchanged_twice() -> None:
    table = Table({"a": 1.0, "b": 4.0}, "complete")
    table.tell("a", Started())
    table.deliver()
    table.under_way.clear()
    assert table.states == {"a": 1.0, "b": 2.5}
    table.tell("a", TimerFired(DEADLINE), 1.0)
    table.deliver()
    # the whole of what b ever gave, and no new exchange
    assert table.states == {"a": 1.0, "b": 2.5}
    table.deliver()
    assert table.states == {"a": 2.5, "b": 2.5}


def test_books_of_two_lives_that_count_alike_are_put_right() -> None:
    table = Table({"a": 1.0, "b": 4.0, "c": 8.0}, "path", rounds=1000)
    old = table.snapshots["b"]
    table.ask("a", Started())
    kept = table.snapshots["a"]
    assert table.states == {"a": 2.5, "b": 2.5, "c": 8.0}
    # b goes on from before, meets another, and then gives a first answer once more, of another size
    table.restore("b", old)
    table.ask("c", Started())
    for now in (1.0, 2.0):
        table.ask("a", TimerFired(DEADLINE), now)
    # a goes on with the first first answer: one, as many as b counts
    table.restore("a", kept)
    table.ask("a", Started(), 3.0)
    for now in range(4, 200):
        table.ask("ac"[now % 2], TimerFired(DEADLINE), float(now))
    assert table.states == {name: pytest.approx(13 / 3, abs=1e-6) for name in "abc"}


def test_all_leaves_of_a_star_meet_its_middle_in_every_round_that_counts() -> None:
    table = Table({f"n{place:02d}": float(place) for place in range(12)}, "star", rounds=30)
    for name in table.nodes:
        table.tell(name, Started())
    now = 0.0
    while not all(snapshot.settle_rounds == 30 for snapshot in table.snapshots.values()):
        table.meet_all()
        now += 1.0
        assert now < 200
        for name in table.nodes:
            table.tell(name, TimerFired(DEADLINE), now)
    assert np.ptp(list(table.states.values())) < 1.0
    assert sum(table.states.values()) == pytest.approx(66.0)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
@pytest.mark.slow
def test_under_any_order_of_messages_states_stay_averages_and_their_sum_what_it_was(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 6))
    initial = {f"n{place}": float(place) for place in range(count)}
    table = Table(initial, data.draw(st.sampled_from(["complete", "ring", "star"])))
    for name in initial:
        table.tell(name, Started())
    heads: dict[tuple[str, str], int] = {}
    for step in range(data.draw(st.integers(10, 60))):
        delivers: int = data.draw(st.integers(0, 5))
        if table.under_way and delivers:
            # links keep the order, one link runs ahead of another
            heads = {}
            for place, (sender, send) in enumerate(table.under_way):
                heads.setdefault((sender, send.receiver), place)
            table.deliver(heads[data.draw(st.sampled_from(sorted(heads)))])
        else:
            table.tell(data.draw(st.sampled_from(sorted(initial))), TimerFired(DEADLINE), float(step))
        all_of_it = held_and_on_its_way(table.snapshots)
        assert all_of_it.total.values == pytest.approx(sum(initial.values()), abs=1e-12)
    while table.under_way:
        table.deliver()
        if len(table.under_way) > 100:
            break
    assert all(-1e-12 <= state <= count - 1 + 1e-12 for state in table.states.values())


def test_nothing_waits_in_a_circle() -> None:
    table = Table({f"n{place}": float(place) for place in range(5)}, "ring", rounds=60)
    for name in table.nodes:
        table.tell(name, Started())
    for _ in range(5000):
        if not table.under_way:
            break
        table.deliver()
    assert not table.under_way
    # no timer was ever needed
    assert all(snapshot.settle_rounds == 60 for snapshot in table.snapshots.values())
    assert np.ptp(list(table.states.values())) < 1e-3


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_sum_is_ever_lost_or_made(data: st.DataObject) -> None:
    world = World(data.draw(plans("pairwise"))).run()
    increments = sum(step for body in world.bodies.values() for step in body.increments.values())
    wanted = sum(world.plan.initial.values()) + increments
    assert held_and_on_its_way(world.snapshots()).total.values == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("codec", ["fp32", "int8"])
@pytest.mark.slow
def test_in_bad_weather_all_find_the_mean(codec: str) -> None:
    initial = states(16)
    schedule = build_schedule(TopologyConfig(kind="random_regular", degree=4), tuple(initial))
    gossip = GossipConfig(protocol="pairwise", codec=codec)
    run = Ticking(schedule, initial, gossip, Weather(loss=0.1, most_delay=2, pauses=0.1), seed=3)
    while run.error(exact_mean(initial)) > 1e-5:
        run.tick()
        assert run.now < 1500


def test_a_schedule_that_changes_and_edges_of_one_way_are_refused() -> None:
    names = tuple("abcd")
    for config, words in (
        (TopologyConfig(schedule="base"), "topology.schedule: pairwise nodes ask a random neighbor"),
        (TopologyConfig(kind="exponential"), "pairwise needs edges both ways"),
    ):
        parts = Parts(
            "a", build_schedule(config, names), Weighted[float](), GossipConfig(), 1, 1, Publishable, Snapshot(0.0)
        )
        with pytest.raises(TopologyError, match=words):
            PROTOCOLS["pairwise"](parts)
