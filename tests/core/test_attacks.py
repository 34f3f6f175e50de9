"""What attackers send: each formula against an independent computation, and the laws that make it harmful."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pytest

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.attacks import ATTACKS, Scene
from gossipfl.core.attacks.little import hidden
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.rng import generator
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("x", (5,)),))
WEIGHTS = {"a": 0.25, "b": 0.3, "c": 0.15, "evil": 0.2, "worse": 0.1}


def state(seed: int) -> AdapterState:
    return AdapterState(SPEC, np.random.default_rng(seed).standard_normal(5).astype(np.float32))


HONEST = {name: state(number) for number, name in enumerate("abcd")}
VALUES = np.stack([HONEST[name].vector.astype(np.float64) for name in "abcd"])


def scene(receiver: str = "a", *, step: int = 0, earlier: tuple[AdapterState, ...] = ()) -> Scene[AdapterState]:
    return Scene(
        me="evil",
        receiver=receiver,
        own=state(9),
        earlier=earlier,
        honest=HONEST,
        attackers=frozenset({"evil", "worse"}),
        weights=WEIGHTS,
        rng=generator(0, purpose="attack", step=step),
    )


def lie(kind: str, strength: float | None = None, receiver: str = "a") -> np.ndarray:
    found: AdapterState = ATTACKS[kind](strength).send(scene(receiver))
    return found.vector.astype(np.float64)


@pytest.mark.parametrize("kind", sorted(ATTACKS))
def test_an_attack_changes_nothing_that_it_sees(kind: str) -> None:
    seen = scene(earlier=(state(7),))
    before = [each.digest() for each in (seen.own, *seen.honest.values(), *seen.earlier)]
    ATTACKS[kind](None).send(seen)
    assert [each.digest() for each in (seen.own, *seen.honest.values(), *seen.earlier)] == before


def test_a_sign_flip_is_ten_times_the_opposite() -> None:
    np.testing.assert_allclose(lie("sign_flip"), -10 * state(9).vector, rtol=1e-6)
    np.testing.assert_allclose(lie("sign_flip", 2.0), -2 * state(9).vector, rtol=1e-6)


@pytest.mark.parametrize(
    ("nodes", "attackers", "z"), [(20, 2, 1.5), (100, 49, NormalDist().inv_cdf(49 / 51)), (3, 2, 1.5)]
)
def test_a_little_is_what_the_paper_says_and_one_and_a_half_at_least(nodes: int, attackers: int, z: float) -> None:
    assert hidden(nodes, attackers) == pytest.approx(z)


def test_a_little_and_the_inner_product_are_of_the_honest_alone() -> None:
    mean, deviation = VALUES.mean(0), VALUES.std(0)
    np.testing.assert_allclose(lie("alie"), mean - 1.5 * deviation, rtol=1e-5)
    np.testing.assert_allclose(lie("alie", 0.5), mean - 0.5 * deviation, rtol=1e-5)
    np.testing.assert_allclose(lie("ipm"), -0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(lie("ipm", 10.0), -10 * mean, rtol=1e-5)


@pytest.mark.parametrize(("strength", "part"), [(1.0, 0.0), (1.5, -0.5), (0.5, 0.5)])
def test_dissensus_takes_away_what_gossip_gives(strength: float, part: float) -> None:
    """With strength 1 the target stands still under plain gossip; above it goes the other way."""
    sent = ATTACKS["dissensus"](strength).send(scene("a"))
    contributions: Mapping[str, tuple[float, AdapterState]] = {
        name: (weight, sent if name in {"evil", "worse"} else HONEST[name])
        for name, weight in WEIGHTS.items()
        if name != "a"
    }
    mixed = MIXINGS["weighted"](GossipConfig()).mix(HONEST["a"], WEIGHTS["a"], contributions).vector
    wished = WEIGHTS["b"] * (VALUES[1] - VALUES[0]) + WEIGHTS["c"] * (VALUES[2] - VALUES[0])
    np.testing.assert_allclose(mixed - VALUES[0], part * wished, atol=1e-5)


@pytest.mark.parametrize("kind", ["dissensus", "equivocation"])
def test_each_neighbor_is_told_something_else_and_accomplices_the_truth(kind: str) -> None:
    assert not np.allclose(lie(kind, receiver="a"), lie(kind, receiver="b"))
    assert np.array_equal(lie(kind, receiver="worse"), state(9).vector)


def test_equivocation_lies_on_the_far_side() -> None:
    np.testing.assert_allclose(lie("equivocation", 2.0), state(9).vector + 2 * (state(9).vector - VALUES[0]), rtol=1e-5)


def test_random_numbers_are_as_long_as_was_said_and_others_every_time() -> None:
    one, other = (ATTACKS["random"](3.0).send(scene(step=step)) for step in (1, 2))
    assert one != other
    for found in (one, other):
        assert abs(found - state(9)) == pytest.approx(3 * abs(state(9)), rel=1e-5)
    assert ATTACKS["random"](3.0).send(scene(step=1)) == one


def test_old_states_are_the_first_and_that_of_five_publications_ago() -> None:
    many = tuple(state(number) for number in range(20, 28))
    replayed, stale = (ATTACKS[kind](None).send(scene(earlier=many)) for kind in ("replay", "stale"))
    assert (replayed, stale) == (many[0], many[-5])
    assert ATTACKS["stale"](None).send(scene(earlier=many[:2])) == many[0]
    assert ATTACKS["replay"](None).send(scene()) == state(9)


def test_numbers_that_are_none_and_numbers_that_are_too_large() -> None:
    assert np.isnan(lie("nan")).all()
    assert np.linalg.norm(lie("huge_norm")) > 1e8
