"""Nodes that do unequal numbers of steps: where the network goes, beside computations of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.events import Event, NeighborUp, Received, Send, Started, Train, Trained
from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.topology import build_schedule
from gossipfl.core.work import WORKS, build_work
from gossipfl.core.work.normalized import weight
from gossipfl.errors import ConfigError

RATE = 0.004
WISHES = {"a": 0.0, "b": 1.0, "c": 5.0, "d": -2.0}
STEPS = {"a": 10, "b": 1, "c": 40, "d": 3}
COMMON = 10
BEST = np.mean(list(WISHES.values()))


@dataclass(frozen=True, slots=True)
class Game:
    """Node i steps down (x − c_i)²/2, as often as it does."""

    work: str = "normalized"
    protocol: str = "sync"
    topology: str = "complete"
    phases: int = 400
    momentum: float = 0.0
    steps: Mapping[str, int] = field(default_factory=lambda: STEPS)

    @property
    def gossip(self) -> GossipConfig:
        return GossipConfig(protocol=self.protocol, work=self.work, settle_rounds=0, deadline_s=1e5, linger_s=1e6)

    def trained(self, name: str, x: float) -> float:
        velocity = 0.0
        for _ in range(self.steps[name]):
            velocity = self.momentum * velocity + x - WISHES[name]
            x -= RATE * velocity
        return x


def training(game: Game, name: str) -> TrainingConfig:
    return TrainingConfig(
        local_steps=game.steps[name],
        common_steps=COMMON,
        optimizer="sgd",
        momentum=game.momentum,
        optimizer_state="reset",
    )


def play(game: Game) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Where every node is at last: real protocols that hear each other at once."""
    schedule = build_schedule(TopologyConfig(kind=game.topology), list(WISHES))
    nodes = {
        name: PROTOCOLS[game.protocol](
            Parts(
                name=name,
                schedule=schedule,
                mixing=Weighted[float](),
                gossip=game.gossip,
                phases=game.phases,
                local_steps=game.steps[name],
                clear=Publishable,
                snapshot=Snapshot(0.0, 0.0),
                work=build_work(game.gossip, training(game, name)),
            )
        )
        for name in WISHES
    }
    begun: list[tuple[str, Event[float]]] = [(name, Started()) for name in nodes]
    begun += [(name, NeighborUp(other)) for name in nodes for other in schedule.neighbors(name)]
    waiting = [(name, effect) for name, event in begun for effect in nodes[name].handle(event, 0.0)]
    while waiting:
        name, effect = waiting.pop(0)
        match effect:
            case Train():
                trained = game.trained(name, effect.snapshot)
                event: Event[Any] = Trained(effect.version, trained, effect.steps, 1.0, Receipt())
                to = name
            case Send():
                event, to = Received(name, effect.packet.seen, effect.header), effect.receiver
            case _:
                continue
        waiting += [(to, after) for after in nodes[to].handle(event, 0.0)]
    return np.array([node.snapshot.state for node in nodes.values()])


def resting_point(factors: Mapping[str, float]) -> float:
    """Where Σ f_i (x_i after − x) is 0 on a complete graph, x − c_i shrinking to (1 − rate)^τ_i of itself."""
    pulls = {name: factors[name] * (1 - (1 - RATE) ** STEPS[name]) for name in WISHES}
    return sum(pulls[name] * WISHES[name] for name in WISHES) / sum(pulls.values())


def test_as_done_the_network_goes_where_those_want_it_who_do_most() -> None:
    found = play(Game(work="as_done"))
    assert found == pytest.approx(resting_point(dict.fromkeys(WISHES, 1.0)), abs=1e-5)
    # not far from Σ τ_i c_i / Σ τ_i, and far from the mean
    assert abs(found[0] - BEST) > 2.0


def test_normalized_it_goes_to_the_mean_wherever_who_does_how_much() -> None:
    found = play(Game())
    assert found == pytest.approx(resting_point({name: COMMON / STEPS[name] for name in WISHES}), abs=1e-5)
    # what is left is the drift within a phase
    assert np.abs(found - BEST).max() < 0.1


@pytest.mark.parametrize("protocol", ["sync", "noloco"])
def test_on_a_ring_too(protocol: str) -> None:
    off = {work: abs(play(Game(work, protocol, "ring", 600)).mean() - BEST) for work in WORKS}
    assert off["normalized"] < 0.15
    assert off["as_done"] > 1.5


def test_momentum_that_every_phase_begins_without_counts_as_the_paper_says() -> None:
    steps = {"a": 12, "b": 2, "c": 30, "d": 4}
    found = play(Game(momentum=0.8, steps=steps, phases=300))
    by_steps = play(Game(momentum=0.8, steps=steps, phases=300, work="tests.core.test_unequal_work:by_steps_alone"))
    assert np.abs(found - BEST).max() < 0.5 * np.abs(by_steps - BEST).max(), (found, by_steps)


def by_steps_alone(phase: object) -> float:
    """A user's own rule, which forgets momentum."""
    return float(getattr(phase, "common") / getattr(phase, "steps"))  # noqa: B009


@given(steps=st.integers(1, 60), momentum=st.floats(0.0, 0.99))
def test_the_weight_is_what_all_gradients_count_together(steps: int, momentum: float) -> None:
    counts = [sum(momentum**later for later in range(steps - step)) for step in range(steps)]
    assert weight(steps, momentum) == pytest.approx(sum(counts), rel=1e-9)


@given(steps=st.integers(1, 1000), common=st.integers(1, 1000))
def test_equal_steps_change_nothing_at_all(steps: int, common: int) -> None:
    gossip = GossipConfig()
    factor = build_work(gossip, TrainingConfig(local_steps=steps, common_steps=common))(common)
    assert factor == 1.0
    assert build_work(gossip, TrainingConfig(local_steps=steps))(steps) == 1.0


def one_phase(protocol: str, **changes: object) -> float:
    """Of one step where ten are the measure, from 0 to 1: where it leads."""
    schedule = build_schedule(TopologyConfig(kind="path"), ["a", "b"])
    gossip = GossipConfig(protocol=protocol, settle_rounds=0)
    parts: Parts[float] = Parts(
        name="a",
        schedule=schedule,
        mixing=Weighted[float](),
        gossip=gossip,
        phases=2,
        local_steps=5,
        clear=Publishable,
        snapshot=Snapshot(0.0, 0.0),
        work=build_work(gossip, TrainingConfig(local_steps=5, common_steps=10)),
    )
    node = PROTOCOLS[protocol](parts)
    (train,) = [effect for effect in node.handle(Started(), 0.0) if isinstance(effect, Train)]
    node.handle(Trained(train.version, 1.0, **{"steps": 1, "units": 1.0, "receipt": Receipt(), **changes}), 0.0)  # type: ignore[arg-type]
    return float(node.snapshot.state)


def test_by_the_steps_done_but_what_the_budget_has_cut_short_is_not_made_longer() -> None:
    assert {one_phase(protocol) for protocol in PROTOCOLS if protocol != "alone"} == {10.0}
    assert one_phase("wait_free", exhausted=True) == 2.0
    assert one_phase("wait_free", exhausted=True, steps=0) == 1.0


def test_who_trains_alone_keeps_what_it_did() -> None:
    assert one_phase("alone") == 1.0


def test_a_phase_that_began_late_counts_from_where_it_began() -> None:
    assert one_phase("alone", start=0.75) == 0.25


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(ConfigError, match=r"gossip\.work: 'normal' is unknown; did you mean 'normalized'"):
        build_work(GossipConfig(work="normal"), TrainingConfig())
