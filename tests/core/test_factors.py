"""How far the mean of factors is from the mean of their products."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.factors import averaging_error, pairs_of, product_norm, update_distance
from gossipfl.state import AdapterSpec, AdapterState, Segment

Matrix = NDArray[np.float64]


def spec(layers: Sequence[tuple[int, int]], rank: int, *, head: int = 3) -> AdapterSpec:
    """B before A in one layer, behind it in the next; a head at the end."""
    segments = []
    for number, (out, into) in enumerate(layers):
        both = [Segment(f"layer.{number}.lora_A", (rank, into)), Segment(f"layer.{number}.lora_B", (out, rank))]
        segments += both if number % 2 == 0 else both[::-1]
    return AdapterSpec((*segments, Segment("head.weight", (head,))))


def states(layout: AdapterSpec, count: int, rng: np.random.Generator) -> list[AdapterState]:
    return [AdapterState(layout, rng.standard_normal(layout.size).astype(np.float32)) for _ in range(count)]


def naive(found: Sequence[AdapterState], weights: Sequence[float]) -> float:
    shares = np.asarray(weights) / np.sum(weights)

    def mean(matrices: Sequence[Matrix]) -> Matrix:
        total: Matrix = np.tensordot(shares, np.stack(matrices), axes=1)
        return total

    missed = whole = 0.0
    for pair in pairs_of(found[0].spec):
        A = [state.segment(f"{pair.layer}.lora_A").astype(np.float64) for state in found]
        B = [state.segment(f"{pair.layer}.lora_B").astype(np.float64) for state in found]
        wished = mean([left @ right for left, right in zip(B, A, strict=True)])
        missed += float(np.sum((mean(B) @ mean(A) - wished) ** 2))
        whole += float(np.sum(wished**2))
    return float(np.sqrt(missed / whole))


layouts = st.builds(
    spec, st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3), st.integers(1, 5)
)
seeds = st.integers(0, 2**20)


@given(layout=layouts, count=st.integers(2, 7), seed=seeds)
@settings(deadline=None)
def test_the_error_is_that_of_the_products_written_out(layout: AdapterSpec, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, weights = states(layout, count, rng), rng.uniform(0.1, 3.0, count).tolist()
    assert averaging_error(found, weights) == pytest.approx(naive(found, weights), rel=1e-9)
    assert averaging_error(found) == pytest.approx(naive(found, [1.0] * count), rel=1e-9)


@given(layout=layouts, count=st.integers(1, 5), seed=seeds, agreed=st.sampled_from([".lora_A", ".lora_B"]))
@settings(deadline=None)
def test_there_is_none_where_the_nodes_agree_on_one_factor(
    layout: AdapterSpec, count: int, seed: int, agreed: str
) -> None:
    found = states(layout, count, np.random.default_rng(seed))
    common = [found[0].vector[layout.slices[name]] for name in layout.slices if name.endswith(agreed)]
    for state in found:
        vector = state.vector.copy()
        for name, values in zip((name for name in layout.slices if name.endswith(agreed)), common, strict=True):
            vector[layout.slices[name]] = values
        found[found.index(state)] = AdapterState(layout, vector)
    error = averaging_error(found)
    assert error is not None
    assert error < 1e-12


def test_products_that_are_nearly_equal_lose_no_digits() -> None:
    # squares of norms would leave nothing of an error of 1e-10
    layout, rng = spec([(60, 50)], 4), np.random.default_rng(3)
    (center,) = states(layout, 1, rng)
    found = [
        AdapterState(layout, (center.vector + 1e-5 * rng.standard_normal(layout.size)).astype(np.float32))
        for _ in range(6)
    ]
    assert 1e-12 < naive(found, [1.0] * 6) < 1e-9
    assert averaging_error(found) == pytest.approx(naive(found, [1.0] * 6), rel=1e-3)


@given(
    out=st.integers(1, 30),
    into=st.integers(1, 30),
    ranks=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    seed=seeds,
)
@settings(deadline=None)
def test_the_norm_of_a_sum_of_products_needs_no_large_matrix(out: int, into: int, ranks: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    lefts = [rng.standard_normal((out, rank)) for rank in ranks]
    rights = [rng.standard_normal((rank, into)) for rank in ranks]
    expected = np.linalg.norm(sum(left @ right for left, right in zip(lefts, rights, strict=True)))
    assert product_norm(lefts, rights) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_without_two_exchanged_factors_there_is_nothing_to_miss() -> None:
    lone = AdapterSpec((Segment("layer.lora_B", (4, 2)), Segment("layer.core_R", (2, 2))))
    kept = AdapterSpec((Segment("layer.lora_A", (2, 3), shared=False), Segment("layer.lora_B", (4, 2))))
    for layout in (lone, kept):
        assert averaging_error(states(layout, 3, np.random.default_rng(0))) is None


def test_zeros_miss_nothing() -> None:
    assert averaging_error([AdapterState.zeros(spec([(3, 5)], 2))] * 3) == 0.0


@given(layout=layouts, seed=seeds)
@settings(deadline=None)
def test_the_distance_of_updates_is_that_of_the_products_written_out(layout: AdapterSpec, seed: int) -> None:
    one, other = states(layout, 2, np.random.default_rng(seed))
    squares = float(np.sum((one.segment("head.weight") - other.segment("head.weight")).astype(np.float64) ** 2))
    for pair in pairs_of(layout):
        product, theirs = (2.0 * pair.left(state.vector) @ pair.right(state.vector) for state in (one, other))
        squares += float(np.sum((product - theirs) ** 2))
    assert update_distance(one, other, lambda _rank: 2.0) == pytest.approx(np.sqrt(squares), rel=1e-6)


def test_other_factors_of_the_same_product_are_no_distance_away() -> None:
    layout, rng = spec([(9, 7)], 3), np.random.default_rng(1)
    (one,) = states(layout, 1, rng)
    (pair,) = pairs_of(layout)
    turn, vector = rng.standard_normal((3, 3)) + 3 * np.eye(3), one.vector.copy()
    vector[pair.A_place] = (turn @ pair.right(one.vector)).reshape(-1)
    vector[pair.B_place] = (pair.left(one.vector) @ np.linalg.inv(turn)).reshape(-1)
    other = AdapterState(layout, vector)
    assert abs(one - other) > 1.0
    assert update_distance(one, other, lambda _rank: 2.0) < 1e-5
