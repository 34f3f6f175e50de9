"""noloco: sync with an outer step; its laws, and what it does beside computations of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.scheduler import Plan, Weather, World, floats, names

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Checkpoint, Effect, Received, Send, Started, Train, Trained
from gossipfl.core.messages import Publishable, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.outer import Outer
from gossipfl.core.protocol import Parts, Protocol, Row, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.protocols.outer_step import OuterStep
from gossipfl.core.rng import generator
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import UserError

PATIENT = GossipConfig(protocol="noloco", deadline_s=1e5, linger_s=1e6, settle_rounds=0)
PLAIN = PATIENT.model_copy(update={"outer_learning_rate": 1.0, "outer_momentum": 0.0})
PAPER = (0.7, 0.5)
Numbers = NDArray[np.float64]


@st.composite
def plans(draw: st.DrawFn) -> Plan[float]:
    count = draw(st.integers(3, 7))
    return floats(
        "noloco",
        draw(st.sampled_from(["ring", "star", "complete", "path"])),
        count,
        increment=lambda name, phase: np.sin(int(name[1:]) * 7.0 + phase),
        gossip=PLAIN.model_copy(update={"settle_rounds": draw(st.integers(0, 3))}),
        phases=draw(st.integers(1, 4)),
        phase_s=draw(st.dictionaries(st.sampled_from(names(count)), st.sampled_from([0.1, 10.0]))),
        exhausted_after=draw(st.dictionaries(st.sampled_from(names(count)), st.integers(0, 3), max_size=1)),
        weather=Weather(duplicates=0.5, latency_s=draw(st.sampled_from([0.01, 1.0, 9.0]))),
        seed=draw(st.integers(0, 2**32)),
    )


@settings(max_examples=60, deadline=None)
@given(plan=plans())
def test_rate_one_without_momentum_is_sync_bit_for_bit(plan: Plan[float]) -> None:
    here = World(plan).run().snapshots()
    there = World(replace(plan, protocol="sync")).run().snapshots()
    assert {name: node.state for name, node in here.items()} == {name: node.state for name, node in there.items()}


@settings(max_examples=30, deadline=None)
@given(plan=plans(), rate=st.floats(0.1, 1.0), momentum=st.floats(0.0, 0.9))
def test_the_order_of_delivery_changes_no_state(plan: Plan[float], rate: float, momentum: float) -> None:
    gossip = plan.gossip.model_copy(update={"outer_learning_rate": rate, "outer_momentum": momentum})
    first = World(replace(plan, gossip=gossip)).run().snapshots()
    other = replace(plan, gossip=gossip, seed=plan.seed + 1, weather=Weather(latency_s=3.0))
    assert {name: node.state for name, node in World(other).run().snapshots().items()} == {
        name: node.state for name, node in first.items()
    }


def test_rounds_without_training_only_mix() -> None:
    left, settled = (
        World(
            floats(
                "noloco",
                "complete",
                5,
                increment=lambda name, phase: np.sin(int(name[1:]) * 7.0 + phase),
                gossip=PATIENT.model_copy(update={"settle_rounds": rounds}),
                phases=3,
            )
        )
        .run()
        .snapshots()
        for rounds in (0, 1)
    )
    states = [node.state for node in left.values()]
    assert np.ptp(states) > 0.1
    assert [node.state for node in settled.values()] == pytest.approx([np.mean(states)] * 5, abs=1e-12)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1.0), st.floats(0.0, 0.9))
def test_where_nothing_has_changed_the_outer_step_goes_nowhere(phi: float, rate: float, momentum: float) -> None:
    assert OuterStep(rate, momentum)(Outer(phi), phi).slow == phi


def test_an_exchange_for_more_than_one_round_a_phase_is_refused() -> None:
    with pytest.raises((UserError, ValueError), match="rounds_per_phase: 2 does not go with protocol noloco"):
        GossipConfig.model_validate({"protocol": "noloco", "rounds_per_phase": 2})


# ---- a quadratic: node i is drawn to c_i ----


@dataclass(frozen=True, slots=True)
class Pairs:
    """Other random pairs in every round, of an even number of nodes."""

    nodes: tuple[str, ...]
    version: int = 1
    period: None = None
    contraction: None = None

    def row(self, node: str, round: int) -> Row:
        peer = self.peer(node, round)
        return Row({node: 0.5, peer: 0.5}, (peer,))

    def peer(self, node: str, round: int) -> str:
        order: list[int] = generator(0, purpose="pairs", step=round).permutation(len(self.nodes)).tolist()
        place = order.index(self.nodes.index(node))
        return self.nodes[order[place ^ 1]]

    def neighbors(self, node: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.nodes if name != node))

    def digest(self) -> str:
        return "pairs"


@dataclass(frozen=True, slots=True)
class Game:
    """What is played.

    Attributes:
        wishes: c, by node.
        pull: part of the way to c that a phase goes.
        killed: a node that is killed each time it has trained, and comes back from its checkpoint.
    """

    wishes: Mapping[str, float]
    pull: float
    gossip: GossipConfig
    phases: int
    killed: str = ""


def play(schedule: Schedule, game: Game) -> Numbers:
    """(phases, nodes) slow states: protocols that hear each other at once, and train θ = φ + pull·(c − φ)."""
    nodes = {name: machine(name, schedule, game, Snapshot(0.0, 0.0)) for name in schedule.nodes}
    trains: dict[str, Train[float]] = {}
    letters: list[tuple[str, Send[float]]] = []

    def perform(name: str, effects: Sequence[Effect[float]]) -> None:
        for effect in effects:
            match effect:
                case Train():
                    trains[name] = effect
                case Send():
                    letters.append((name, effect))
                case _:
                    pass

    for name, node in nodes.items():
        perform(name, node.handle(Started(), 0.0))
    found = []
    while trains:
        for name, train in [(name, trains.pop(name)) for name in nodes]:
            state = train.snapshot + game.pull * (game.wishes[name] - train.snapshot)
            effects = nodes[name].handle(Trained(train.version, state, 1, 1.0, Receipt()), 0.0)
            if name == game.killed:
                (durable,) = [effect.snapshot for effect in effects if isinstance(effect, Checkpoint)]
                nodes[name] = machine(name, schedule, game, durable)
                effects = nodes[name].handle(Started(), 0.0)
            perform(name, effects)
        while letters:
            sender, letter = letters.pop(0)
            event = Received(sender, letter.packet.seen, letter.header)
            perform(letter.receiver, nodes[letter.receiver].handle(event, 0.0))
        found.append([node.snapshot.state for node in nodes.values()])
    return np.array(found)


def machine(name: str, schedule: Schedule, game: Game, snapshot: Snapshot[float]) -> Protocol[float]:
    parts: Parts[float] = Parts(
        name=name,
        schedule=schedule,
        mixing=Weighted[float](),
        gossip=game.gossip,
        phases=game.phases,
        local_steps=1,
        clear=Publishable,
        snapshot=snapshot,
    )
    return PROTOCOLS["noloco"](parts)


def by_the_paper(schedule: Pairs, wishes: Numbers, pull: float, terms: tuple[float, float], phases: int) -> Numbers:
    """The same by the formula with all its terms: Δ̄ = mean(θ − φ), φ̄ = mean(φ) over the two of a pair."""
    eta, mu = terms
    phi, m = np.zeros(len(wishes)), np.zeros(len(wishes))
    found = []
    for number in range(phases):
        theta = phi + pull * (wishes - phi)
        peers = [schedule.nodes.index(schedule.peer(name, number)) for name in schedule.nodes]
        delta = ((theta - phi) + (theta - phi)[peers]) / 2
        mean = (phi + phi[peers]) / 2
        m = mu * m + eta * delta + eta * (mean - phi)
        phi = phi + m
        found.append(phi)
    return np.array(found)


COUNT = 8
SCHEDULE = Pairs(names(COUNT))
WISHES = np.random.default_rng(0).standard_normal(COUNT)


def played(pull: float, terms: tuple[float, float], phases: int, killed: str = "") -> Numbers:
    gossip = PATIENT.model_copy(update={"outer_learning_rate": terms[0], "outer_momentum": terms[1]})
    wishes = dict(zip(SCHEDULE.nodes, WISHES.tolist(), strict=True))
    return play(SCHEDULE, Game(wishes, pull, gossip, phases, killed))


@pytest.mark.parametrize("terms", [PAPER, (1.0, 0.0), (0.5, 0.9)])
def test_a_node_that_is_killed_between_training_and_mixing_goes_on_bit_for_bit(terms: tuple[float, float]) -> None:
    assert np.array_equal(played(0.2, terms, 30, killed="n3"), played(0.2, terms, 30))


@pytest.mark.parametrize("terms", [PAPER, (1.0, 0.0), (0.5, 0.9)])
def test_it_is_the_papers_formula(terms: tuple[float, float]) -> None:
    assert np.allclose(played(0.2, terms, 60), by_the_paper(SCHEDULE, WISHES, 0.2, terms, 60), rtol=0, atol=1e-12)


@pytest.mark.parametrize("terms", [PAPER, (1.0, 0.0), (0.5, 0.9)])
def test_the_mean_is_a_heavy_ball_that_comes_to_rest_at_the_best_model(terms: tuple[float, float]) -> None:
    (eta, mu), pull, phases = terms, 0.2, 300
    # with z = mean − best: z' = (1 + μ − η·pull)·z − μ·z before, z = z before = −best
    best = WISHES.mean()
    power = np.linalg.matrix_power
    step = np.array([[1 + mu - eta * pull, -mu], [1.0, 0.0]])
    expected = [best + (power(step, number) @ [-best, -best])[0] for number in range(1, phases + 1)]
    means = played(pull, terms, phases).mean(axis=1)
    assert np.allclose(means, expected, rtol=0, atol=1e-12)
    assert abs(means[-1] - best) < 1e-5


@pytest.mark.parametrize("terms", [PAPER, (1.0, 0.0), (0.5, 0.8)])
@pytest.mark.slow
def test_how_far_nodes_stay_apart_is_known(terms: tuple[float, float]) -> None:
    states = played(0.2, terms, 4000)[200:]
    spread = float(((states - states.mean(axis=1, keepdims=True)) ** 2).mean())
    assert spread == pytest.approx(stationary_spread(0.2, terms, COUNT, float(WISHES.var())), rel=0.1)


def stationary_spread(pull: float, terms: tuple[float, float], count: int, variance: float) -> float:
    """E of the mean square distance from the mean, pairs drawn anew.

    Of deviations z = (φ, m, c) of a node and z' of its peer: next z = M z + N z'. The peer is any other, and deviations
    sum to 0: S ← M S Mᵀ + N S Nᵀ − (M S Nᵀ + N S Mᵀ) / (n − 1).
    """
    eta, mu = terms
    own, theta = np.array([1.0, 0, 0]), np.array([1 - pull, 0, pull])
    moved = np.array([0, mu, 0]) + eta * (theta / 2 - own)
    M = np.array([own + moved, moved, [0, 0, 1]])
    N = np.array([eta * theta / 2, eta * theta / 2, [0, 0, 0]])
    S = np.diag([0, 0, variance])
    for _ in range(5000):
        crossed = M @ S @ N.T
        S = M @ S @ M.T + N @ S @ N.T - (crossed + crossed.T) / (count - 1)
    return float(S[0, 0])


@pytest.mark.parametrize("eta", [0.2, 0.5, 0.7, 1.0, 1.5])
def test_random_pairs_drive_each_other_apart_from_a_momentum_on_that_is_known(eta: float) -> None:
    edge = float(np.sqrt(1 - eta / 2))
    assert mean_square_factor(eta, edge - 1e-3) < 1 < mean_square_factor(eta, edge + 1e-3)


def mean_square_factor(eta: float, mu: float) -> float:
    """By what the mean square distance and momentum of endlessly many nodes grow in a round without training."""
    own, momentum = np.array([1.0, 0]), np.array([-eta / 2, mu])
    M, N = np.array([own + momentum, momentum]), np.full((2, 2), [eta / 2, 0])
    return float(np.abs(np.linalg.eigvals(np.kron(M, M) + np.kron(N, N))).max())
