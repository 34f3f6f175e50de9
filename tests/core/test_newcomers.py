"""Nodes that come and go under wait_free: who comes begins where the others are, who is gone is not mixed any more."""

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.events import (
    Checkpoint,
    Effect,
    Event,
    Finish,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Rewired,
    Send,
    SetTimer,
    Started,
    TimerFired,
    Train,
    Trained,
)
from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.protocols.neighborhood import Neighborhood
from gossipfl.core.protocols.pace import DEADLINE, OwnPace
from gossipfl.core.protocols.wait_free import Newest
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology.live import live_schedule

START, GOAL = 10.0, 100.0
RING = TopologyConfig(kind="ring")


class Crowd:
    """Nodes without a network between them: all that is sent arrives; a phase goes half of the way to the goal."""

    def __init__(self) -> None:
        self.nodes: dict[str, Protocol[float]] = {}
        self.reports: list[tuple[str, Report]] = []
        self.saved: dict[str, Snapshot[float]] = {}
        self.finished: set[str] = set()
        self.timers: dict[str, set[str]] = {}
        self.sent: list[tuple[str, Send[float]]] = []
        self._training: deque[tuple[str, Train[float]]] = deque()
        self._linked: set[frozenset[str]] = set()

    def come(self, name: str, *, newcomer: bool, snapshot: Snapshot[float] | None = None, phases: int = 50) -> None:
        """A node starts; all that are there hear of it."""
        parts = Parts(
            name=name,
            schedule=live_schedule(RING, [name]),
            mixing=Weighted[float](),
            gossip=GossipConfig(settle_rounds=2),
            phases=phases,
            local_steps=1,
            clear=Publishable,
            snapshot=snapshot or Snapshot(START, START),
            live=True,
            newcomer=newcomer,
        )
        self.nodes[name] = PROTOCOLS["wait_free"](parts)
        self.tell(name, Started())
        self.rewire()

    def go(self, name: str) -> None:
        """A node is gone."""
        del self.nodes[name]
        self.rewire()

    def rewire(self) -> None:
        """Everybody comes to know who is up."""
        schedule = live_schedule(RING, self.nodes)
        for name in sorted(self.nodes):
            self.tell(name, Rewired(schedule))
        links = {frozenset((name, other)) for name in self.nodes for other in schedule.neighbors(name)}
        for pair in sorted(map(sorted, self._linked - links)):
            for one, other in (pair, pair[::-1]):
                self.tell(one, NeighborDown(other))
        new, self._linked = links - self._linked, links
        for pair in sorted(map(sorted, new)):
            for one, other in (pair, pair[::-1]):
                self.tell(one, NeighborUp(other))

    def tell(self, name: str, event: Event[float]) -> None:
        """An event and all that follows from it at once."""
        if name in self.nodes:
            self.perform(name, self.nodes[name].handle(event, 0.0))

    def perform(self, name: str, effects: Sequence[Effect[float]]) -> None:
        for effect in effects:
            match effect:
                case Train():
                    self._training.append((name, effect))
                case Send():
                    self.sent.append((name, effect))
                    # a link that is not there carries nothing
                    if frozenset((name, effect.receiver)) in self._linked:
                        self.tell(effect.receiver, Received(name, effect.content.state, effect.header))
                case SetTimer(name=timer):
                    self.timers.setdefault(name, set()).add(timer)
                case Checkpoint(snapshot=snapshot):
                    self.saved[name] = snapshot
                case Finish():
                    self.finished.add(name)
                case Report():
                    self.reports.append((name, effect))

    def train(self, phases: int) -> None:
        """So many phases, of whoever trains, in turn."""
        for _ in range(phases):
            if self._training:
                name, effect = self._training.popleft()
                after = effect.snapshot + (GOAL - effect.snapshot) / 2
                self.tell(name, Trained(effect.version, after, 1, 1.0, Receipt(steps=effect.version + 1)))

    @property
    def training(self) -> set[str]:
        """Who trains."""
        return {name for name, _ in self._training}

    def state(self, name: str) -> float:
        return self.nodes[name].snapshot.state

    def phase(self, name: str) -> int:
        return self.nodes[name].snapshot.phase


def veterans(count: int, phases: int = 40) -> Crowd:
    crowd = Crowd()
    for place in range(count):
        crowd.come(f"v{place}", newcomer=False)
    crowd.train(phases)
    return crowd


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_newcomer_begins_where_its_neighbors_are_and_holds_nobody_back(count: int) -> None:
    crowd = veterans(count, 10 * count)
    before = {name: crowd.state(name) for name in crowd.nodes}
    crowd.come("new", newcomer=True)
    assert min(before.values()) <= crowd.state("new") <= GOAL
    crowd.train(6 * count)
    assert crowd.phase("new") > 0
    assert all(crowd.state(name) >= was - 1e-9 for name, was in before.items())


def test_one_that_is_no_newcomer_begins_where_everybody_did() -> None:
    crowd = veterans(3)
    crowd.come("founder", newcomer=False)
    assert crowd.state("founder") == START


def test_what_a_newcomer_adopts_is_the_mean_of_its_neighbors_and_nothing_of_its_own() -> None:
    crowd = veterans(3)
    crowd.come("new", newcomer=True)
    name, report = next((name, report) for name, report in crowd.reports if name == "new")
    assert report.weights["new"] == 0.0
    assert report.weights == {"new": 0.0, "v0": pytest.approx(0.5), "v2": pytest.approx(0.5)}
    assert crowd.saved[name].round == 1


def test_a_newcomer_tells_nobody_more_than_that_it_has_learned_nothing() -> None:
    crowd = veterans(3)
    crowd.come("new", newcomer=True)
    assert all(send.header.is_at_the_start for name, send in crowd.sent if name == "new")
    assert not any("new" in report.sources for _, report in crowd.reports)


def test_a_newcomer_among_nodes_that_have_learned_nothing_begins_with_them_at_its_deadline() -> None:
    crowd = Crowd()
    crowd.come("v0", newcomer=False)
    crowd.come("new", newcomer=True)
    assert "new" not in crowd.training
    assert crowd.timers["new"] == {DEADLINE}
    crowd.tell("new", TimerFired(DEADLINE))
    crowd.train(2)
    assert crowd.phase("new") == 1


def test_a_newcomer_that_hears_nobody_does_not_train() -> None:
    crowd = Crowd()
    crowd.come("new", newcomer=True)
    for _ in range(5):
        crowd.tell("new", TimerFired(DEADLINE))
        crowd.train(1)
    assert crowd.phase("new") == 0


def test_a_newcomer_that_was_killed_goes_on_where_it_was() -> None:
    crowd = veterans(3, 10)
    crowd.come("new", newcomer=True)
    crowd.train(5)
    saved = crowd.saved["new"]
    crowd.go("new")
    # the others go on meanwhile: their mean is not where it was killed
    crowd.train(3)
    crowd.come("new", newcomer=True, snapshot=saved)
    assert crowd.state("new") == saved.state
    crowd.train(4)
    assert crowd.phase("new") > saved.phase


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whoever_comes_and_goes_only_neighbors_of_the_time_are_mixed_and_weights_sum_to_one(
    data: st.DataObject,
) -> None:
    crowd, numbers = veterans(3, 6), iter(range(100))
    for _ in range(data.draw(st.integers(1, 12))):
        if len(crowd.nodes) > 2 and data.draw(st.booleans()):
            crowd.go(data.draw(st.sampled_from(sorted(crowd.nodes))))
        else:
            crowd.come(f"x{next(numbers)}", newcomer=data.draw(st.booleans()))
        first = len(crowd.reports)
        crowd.train(data.draw(st.integers(0, 8)))
        schedule = live_schedule(RING, crowd.nodes)
        for name, report in crowd.reports[first:]:
            assert report.weights.keys() <= {name, *schedule.neighbors(name)}
            assert sum(report.weights.values()) == pytest.approx(1)
    assert all(START <= crowd.state(name) <= GOAL for name in crowd.nodes)


def test_those_that_stay_come_to_their_end_though_a_neighbor_is_gone_in_mid_run() -> None:
    crowd = Crowd()
    for name in ("a", "b", "c"):
        crowd.come(name, newcomer=False, phases=4)
    crowd.train(6)
    crowd.go("b")
    crowd.train(20)
    assert all(node.snapshot.settle_rounds == 2 for node in crowd.nodes.values())
    # nobody lingers for who is gone
    assert crowd.finished == {"a", "c"}


def test_nothing_is_kept_of_who_is_a_neighbor_no_longer() -> None:
    crowd = veterans(4, 12)
    (node,) = (node for name, node in crowd.nodes.items() if name == "v0")
    assert isinstance(node, OwnPace)
    crowd.go("v1")
    assert isinstance(node._exchange, Newest)
    assert node._exchange._newest.keys() <= {"v2", "v3"}
    neighbors = Neighborhood(["a", "b"], 60.0)
    # the end of a link that is noticed late
    neighbors.become(["b"], 0.0)
    neighbors.down("a")
    neighbors.become(["a", "b"], 0.0)
    assert not neighbors.is_down("a")
