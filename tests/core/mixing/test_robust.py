"""Mixings that bear neighbors who send what they like: their laws, each held against an independent computation."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import trim_mean

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.mixing.sorting import network, sort_rows
from gossipfl.core.protocol import Mixing
from gossipfl.state import AdapterSpec, AdapterState, Float32Vector, Segment

ROBUST = sorted(MIXINGS.keys() - {"weighted"})
SPEC = AdapterSpec((Segment("a", (3, 2)),))
WITH_PRIVATE = AdapterSpec((Segment("a", (3, 2)), Segment("b", (2,), shared=False)))
values = st.floats(-100, 100, width=32)
vectors = st.lists(values, min_size=6, max_size=6)


def mixing(name: str, **settings: Any) -> Mixing[AdapterState]:
    return MIXINGS[name](GossipConfig(mixing=name, **settings))


def single(vector: Sequence[float]) -> Float32Vector:
    return np.array(vector, np.float32)


def state(vector: Sequence[float] | np.ndarray) -> AdapterState:
    return AdapterState(SPEC, np.asarray(vector, np.float32))


def sent(others: Sequence[Sequence[float]]) -> dict[str, tuple[float, AdapterState]]:
    weight = 1 / (len(others) + 1)
    return {f"n{number}": (weight, state(other)) for number, other in enumerate(others)}


def mixed(name: str, own: Sequence[float], others: Sequence[Sequence[float]], **settings: Any) -> np.ndarray:
    found = mixing(name, **settings).mix(state(own), 1 / (len(others) + 1), sent(others))
    return found.vector.astype(np.float64)


def cloud(count: int, seed: int = 0, far: int = 0) -> list[list[float]]:
    """Honest states around 1, behind them some that are far off, each elsewhere."""
    rng = np.random.default_rng(seed)
    near = rng.normal(1.0, 0.1, (count - far, 6))
    return [*near.tolist(), *(1e3 * rng.standard_normal((far, 6))).tolist()]


@pytest.mark.parametrize("name", ROBUST)
@given(own=vectors, count=st.integers(1, 6))
def test_states_that_agree_stay_as_they_are(name: str, own: list[float], count: int) -> None:
    assert np.array_equal(mixed(name, own, [own] * count), single(own))


@pytest.mark.parametrize("name", ROBUST)
def test_who_came_first_does_not_matter(name: str) -> None:
    own, *others = cloud(7, far=1)
    there = sent(others)
    turned: Mapping[str, tuple[float, AdapterState]] = dict(reversed(there.items()))
    one, other = (mixing(name).mix(state(own), 1 / 7, each) for each in (there, turned))
    np.testing.assert_allclose(one.vector, other.vector, rtol=1e-6)


@pytest.mark.parametrize("name", ROBUST)
@given(st.lists(vectors, min_size=5, max_size=7), vectors)
def test_where_the_origin_lies_does_not_matter(name: str, states: list[list[float]], shift: list[float]) -> None:
    # not on the edge of a choice, where rounding decides
    rng = np.random.default_rng(len(states))
    placed = np.array(states) + rng.normal(0, 1, (len(states), 6))
    here, there = (mixed(name, each[0], each[1:].tolist()) for each in (placed, placed + shift))
    np.testing.assert_allclose(here + shift, there, atol=2e-3)


@pytest.mark.parametrize("name", ROBUST)
def test_nothing_that_goes_in_is_changed_and_what_is_private_stays(name: str) -> None:
    own_vector, *others = cloud(6)
    own = AdapterState(WITH_PRIVATE, single([*own_vector, 7.0, -7.0]))
    there = sent(others)
    before = [own.digest(), *(each.digest() for _, each in there.values())]
    found = mixing(name).mix(own, 1 / 6, there)
    assert [own.digest(), *(each.digest() for _, each in there.values())] == before
    assert found.spec == WITH_PRIVATE
    assert found.vector[6:].tolist() == [7.0, -7.0]
    np.testing.assert_allclose(found.vector[:6], mixed(name, own_vector, others), rtol=1e-6)


@pytest.mark.parametrize("name", ROBUST)
def test_a_node_without_neighbors_goes_on_alone(name: str) -> None:
    (own,) = cloud(1)
    assert mixing(name).mix(state(own), 1.0, {}) == state(own)


@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("seed", range(5))
def test_one_who_is_far_off_moves_nobody_far(name: str, seed: int) -> None:
    """Six honest states within a few tenths of each other, and one a thousand away."""
    states = cloud(7, seed, far=1)
    found = mixed(name, states[0], states[1:])
    assert np.abs(found - 1.0).max() < 0.5
    weighted = mixed("weighted", states[0], states[1:])
    assert np.abs(weighted - 1.0).max() > 50, "the plain mean is carried off"


@pytest.mark.parametrize("name", ROBUST)
def test_two_who_are_far_off_are_borne_where_two_are_reckoned_with(name: str) -> None:
    states = cloud(9, far=2)
    assert np.abs(mixed(name, states[0], states[1:], byzantine=2) - 1.0).max() < 0.5


@pytest.mark.parametrize(
    ("name", "others"),
    [("trimmed_mean", 1), ("krum", 3), ("multi_krum", 3), ("nearest", 1), ("self_centered_clipping", 1)],
)
def test_where_too_few_are_there_to_outvote_one_a_node_goes_on_alone(name: str, others: int) -> None:
    own, *there = cloud(others + 1)
    assert np.array_equal(mixed(name, own, there), single(own))
    own, *more = cloud(others + 2)
    assert not np.array_equal(mixed(name, own, more), single(own))


# ---- self-centered clipping ----


@given(vectors, vectors, st.floats(0.01, 50), st.floats(0.05, 0.9))
def test_one_neighbor_moves_a_node_by_at_most_its_weight_times_the_radius(
    own: list[float], other: list[float], radius: float, weight: float
) -> None:
    clipping = mixing("self_centered_clipping", clipping_radius=radius)
    found = clipping.mix(state(own), 1 - weight, {"p": (weight, state(other))})
    moved = np.linalg.norm(found.vector.astype(np.float64) - single(own))
    assert moved <= weight * radius + 1e-4
    away = float(np.linalg.norm(single(other).astype(np.float64) - single(own)))
    assert moved == pytest.approx(weight * min(radius, away), abs=1e-3)


def test_a_radius_beyond_everybody_is_gossip() -> None:
    own, *others = cloud(6)
    wide = mixed("self_centered_clipping", own, others, clipping_radius=1e6)
    assert np.array_equal(wide, mixed("weighted", own, others))


def test_the_radius_that_follows_is_the_second_largest_distance() -> None:
    own, others = [0.0] * 6, [[3.0, 4, 0, 0, 0, 0], [0.0, 0, 10, 0, 0, 0], [0.0, 0, 0, 40, 0, 0]]
    found = mixed("self_centered_clipping", own, others)
    np.testing.assert_allclose(found, [0.75, 1.0, 2.5, 2.5, 0, 0], rtol=1e-6)


# ---- sorting, and what is done coordinate by coordinate ----


@pytest.mark.parametrize("count", range(1, 11))
def test_the_network_sorts_all_zeros_and_ones_and_so_everything(count: int) -> None:
    """The zero-one principle: Knuth 5.3.4, theorem Z."""
    every = np.array(list(product((0.0, 1.0), repeat=count))).T
    rows = [row.copy() for row in every]
    assert np.array_equal(sort_rows(rows), np.sort(every, axis=0))
    assert all(low < high < count for low, high in network(count))


@pytest.mark.parametrize("count", [3, 4, 5, 8, 17])
def test_medians_and_trimmed_means_are_those_of_numpy_and_scipy(count: int) -> None:
    states = np.random.default_rng(count).standard_normal((count, 6)).astype(np.float32)
    own, others = states[0].tolist(), states[1:].tolist()
    np.testing.assert_allclose(mixed("median", own, others), np.median(states.astype(float), axis=0), atol=1e-6)
    trimmed = trim_mean(states.astype(float), 1 / count + 1e-9, axis=0)
    np.testing.assert_allclose(mixed("trimmed_mean", own, others), trimmed, atol=1e-6)


def test_many_values_are_mixed_as_few_are() -> None:
    spec = AdapterSpec((Segment("x", (40_000,)),))
    vectors = np.random.default_rng(0).standard_normal((5, 40_000)).astype(np.float32)
    own, *others = (AdapterState(spec, vector.copy()) for vector in vectors)
    found = mixing("median").mix(own, 0.2, {str(number): (0.2, each) for number, each in enumerate(others)})
    np.testing.assert_allclose(found.vector, np.median(vectors, axis=0), atol=1e-6)
    assert own.distance(others[0]) == pytest.approx(float(np.linalg.norm(vectors[0].astype(float) - vectors[1])))


@pytest.mark.parametrize(("one", "other"), [(3e20, -3e20), (1e-30, 2e-30), (0.0, 0.0)])
def test_a_distance_neither_overflows_nor_vanishes(one: float, other: float) -> None:
    found = state([one] * 6).distance(state([other] * 6))
    assert found == pytest.approx(abs(float(single([one])[0]) - float(single([other])[0])) * 6**0.5, rel=1e-6)


# ---- those that choose ----


def krum_by_the_book(states: np.ndarray, byzantine: int, count: int) -> np.ndarray:
    far = ((states[:, None] - states[None]) ** 2).sum(-1)
    company = len(states) - byzantine - 2
    scores = np.sort(far, axis=1)[:, 1 : company + 1].sum(1)
    return np.asarray(states[np.argsort(scores)[:count]].mean(0))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("byzantine", [0, 1, 2])
def test_krum_chooses_whom_the_book_chooses(seed: int, byzantine: int) -> None:
    states = np.random.default_rng(seed).standard_normal((8, 6))
    own, others = states[0].tolist(), states[1:].tolist()
    one, several = (mixed(name, own, others, byzantine=byzantine) for name in ("krum", "multi_krum"))
    np.testing.assert_allclose(one, krum_by_the_book(states, byzantine, 1), atol=1e-5)
    np.testing.assert_allclose(several, krum_by_the_book(states, byzantine, 6 - byzantine), atol=1e-5)


@pytest.mark.parametrize("byzantine", [0, 1, 3])
def test_nearest_is_the_mean_of_those_next_to_it(byzantine: int) -> None:
    states = np.random.default_rng(3).standard_normal((7, 6))
    near = states[np.argsort(np.linalg.norm(states - states[0], axis=1))[: 7 - byzantine]]
    found = mixed("nearest", states[0].tolist(), states[1:].tolist(), byzantine=byzantine)
    np.testing.assert_allclose(found, near.mean(0), atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_the_geometric_median_is_where_the_weighted_distances_add_up_to_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((6, 6))
    weights = rng.uniform(0.5, 2, 6)
    weights /= weights.sum()
    there = {
        f"n{number}": (float(w), state(x)) for number, (w, x) in enumerate(zip(weights[1:], states[1:], strict=True))
    }
    found = mixing("geometric_median").mix(state(states[0]), float(weights[0]), there).vector.astype(float)

    def total(point: np.ndarray) -> float:
        return float((weights * np.linalg.norm(states - point, axis=1)).sum())

    best = minimize(
        total, states.mean(0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000}
    )
    assert total(found) <= best.fun * (1 + 1e-4)


@pytest.mark.parametrize("mine", [0.2, 0.6])
def test_the_geometric_median_leaves_a_state_it_begins_at_unless_that_is_the_median(mine: float) -> None:
    """Weiszfeld's step alone would never leave it; with more than half of the weight it is the median."""
    rest = (1 - mine) / 2
    there = {"p": (rest, state([10.0] * 6)), "q": (rest, state([10.5] * 6))}
    found = mixing("geometric_median").mix(state([0.0] * 6), mine, there).vector
    assert np.allclose(found, 0.0) if mine > 0.5 else (found > 9.9).all()
