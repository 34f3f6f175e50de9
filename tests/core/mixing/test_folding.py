"""Updates are averaged exactly, whatever the graph, and all ways to merge agree where nodes do."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.factors import MERGED
from gossipfl.core.mixing.folding import Folding
from gossipfl.core.mixing.products import Products
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Mixing
from gossipfl.state import AdapterSpec, AdapterState, Segment

Matrix = NDArray[np.float64]
SIDES = st.tuples(st.integers(1, 16), st.integers(1, 16)).filter(lambda sides: sides[0] != sides[1])
SEEDS = st.integers(0, 2**20)


def scale(rank: int) -> float:
    return 6.0 / rank


def layout(sides: tuple[int, int], rank: int) -> AdapterSpec:
    out, into = sides
    factors = (Segment("x.lora_A", (rank, into)), Segment("x.lora_B", (out, rank)))
    return AdapterSpec((*factors, Segment("head", (3,)), Segment("x" + MERGED, sides)))


def drawn(spec: AdapterSpec, seed: int) -> AdapterState:
    return AdapterState(spec, np.random.default_rng(seed).standard_normal(spec.size).astype(np.float32))


def update(state: AdapterState) -> Matrix:
    A, B = (state.segment(f"x.{factor}").astype(np.float64) for factor in ("lora_A", "lora_B"))
    found: Matrix = state.segment("x" + MERGED) + scale(len(A)) * (B @ A)
    return found


def start(spec: AdapterSpec) -> AdapterState:
    """B = 0 and nothing merged, A as it may be."""
    vector = drawn(spec, 99).vector.copy()
    for name in ("x.lora_B", "x" + MERGED):
        vector[spec.slices[name]] = 0
    return AdapterState(spec, vector)


@pytest.mark.parametrize("merge", ["exact", "stack"])
@given(sides=SIDES, rank=st.integers(1, 4), others=st.integers(1, 4), seed=SEEDS)
@settings(deadline=None)
def test_the_new_update_is_the_mean_of_updates(
    merge: str, sides: tuple[int, int], rank: int, others: int, seed: int
) -> None:
    spec = layout(sides, rank)
    states = [drawn(spec, seed + number) for number in range(others + 1)]
    weights = np.random.default_rng(seed).dirichlet(np.ones(others + 1)).tolist()
    terms = {str(number): (weights[number], states[number]) for number in range(1, others + 1)}
    mixed = Folding(scale, start(spec) if merge == "stack" else None).mix(states[0], weights[0], terms)
    wished = sum((w * update(state) for w, state in zip(weights, states, strict=True)), np.zeros(sides))
    np.testing.assert_allclose(update(mixed), wished, atol=1e-6 * max(1.0, np.abs(wished).max()))
    mean = sum((w * state.segment("head") for w, state in zip(weights, states, strict=True)), np.zeros(3))
    np.testing.assert_allclose(mixed.segment("head"), mean, atol=1e-6)
    if merge == "stack":
        assert np.array_equal(mixed.segment("x.lora_A"), start(spec).segment("x.lora_A"))
        assert not mixed.segment("x.lora_B").any()


@given(sides=SIDES, rank=st.integers(1, 4), seed=SEEDS)
@settings(deadline=None)
@pytest.mark.slow
def test_at_consensus_all_ways_agree(sides: tuple[int, int], rank: int, seed: int) -> None:
    spec = layout(sides, min(rank, *sides))
    own = drawn(spec, seed)
    ways: list[Mixing[AdapterState]] = [
        Weighted[AdapterState](),
        Products(scale),
        Folding(scale, None),
        Folding(scale, start(spec)),
    ]
    for way in ways:
        mixed = way.mix(own, 0.4, {"a": (0.4, own), "b": (0.2, own)})
        np.testing.assert_allclose(update(mixed), update(own), atol=2e-6 * max(1.0, np.abs(update(own)).max()))


def mean(states: Sequence[AdapterState]) -> Matrix:
    found: Matrix = np.mean([update(state) for state in states], axis=0)
    return found


@pytest.mark.parametrize("merge", ["exact", "stack"])
def test_on_a_ring_the_networks_mean_is_kept_for_many_rounds(merge: str) -> None:
    spec = layout((9, 7), 3)
    states = [drawn(spec, number) for number in range(8)]
    before = mean(states)
    folding = Folding(scale, start(spec) if merge == "stack" else None)
    for _ in range(200):
        states = [
            folding.mix(own, 1 / 3, {"l": (1 / 3, states[place - 1]), "r": (1 / 3, states[(place + 1) % 8])})
            for place, own in enumerate(states)
        ]
    np.testing.assert_allclose(mean(states), before, atol=2e-6 * np.abs(before).max())
    # and each node has it
    for state in states:
        np.testing.assert_allclose(update(state), before, atol=1e-5 * np.abs(before).max())


def test_averaging_the_factors_alone_misses_it() -> None:
    spec = layout((9, 7), 3)
    own, other = drawn(spec, 1), drawn(spec, 2)
    plain = Weighted[AdapterState]().mix(own, 0.5, {"b": (0.5, other)})
    assert np.abs(update(plain) - mean([own, other])).max() > 0.5
