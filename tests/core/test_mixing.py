import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.mixing.weighted import Weighted, weighted_sum
from gossipfl.state import AdapterSpec, AdapterState, Segment

SIZE = 270_000  # more than one block


def states(count: int, seed: int = 0) -> list[AdapterState]:
    spec = AdapterSpec((Segment("x", (SIZE,)),))
    rng = np.random.default_rng(seed)
    return [AdapterState(spec, rng.standard_normal(SIZE).astype(np.float32)) for _ in range(count)]


def rows(count: int) -> st.SearchStrategy[list[float]]:
    parts = st.lists(st.floats(0.01, 1), min_size=count, max_size=count)
    return parts.map(lambda weights: [weight / sum(weights) for weight in weights])


@settings(deadline=None, max_examples=30)
@given(rows(4))
def test_a_mixture_lies_between_the_smallest_and_the_largest_entry(weights: list[float]) -> None:
    inputs = states(4)
    contributions = {
        str(k): (weight, state) for k, (weight, state) in enumerate(zip(weights[1:], inputs[1:], strict=True))
    }
    mixed = Weighted[AdapterState]().mix(inputs[0], weights[0], contributions).vector
    stack = np.stack([state.vector for state in inputs])
    assert (mixed >= stack.min(0) - 1e-5).all()
    assert (mixed <= stack.max(0) + 1e-5).all()
    assert np.allclose(mixed, np.average(stack.astype(np.float64), axis=0, weights=weights), atol=1e-6)


def test_mixing_changes_no_input() -> None:
    first, second = states(2)
    before = first.digest(), second.digest()
    Weighted[AdapterState]().mix(first, 0.5, {"p": (0.5, second)})
    assert (first.digest(), second.digest()) == before


def test_a_hundred_rounds_in_fp32_keep_the_mean_and_leave_agreement_alone() -> None:
    ring = states(4)
    mean = np.mean([state.vector for state in ring], axis=0, dtype=np.float64)
    mixing = Weighted[AdapterState]()
    for _ in range(100):
        ring = [
            mixing.mix(ring[k], 1 - 2 / 3, {"l": (1 / 3, ring[k - 1]), "r": (1 / 3, ring[(k + 1) % 4])})
            for k in range(4)
        ]
    assert abs(np.mean([state.vector for state in ring], axis=0, dtype=np.float64) - mean).max() < 3e-7
    assert mixing.mix(ring[0], 1 - 2 / 3, {"l": (1 / 3, ring[0]), "r": (1 / 3, ring[0])}) == ring[0]


def test_mixing_makes_one_vector_however_many_neighbors_there_are() -> None:
    own, *others = states(6)
    mixing = Weighted[AdapterState]()
    contributions = {str(number): (1 / 6, state) for number, state in enumerate(others)}
    tracemalloc.start()
    mixed = mixing.mix(own, 1 / 6, contributions)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # beside the result two blocks, which are as long as the vector or a megabyte
    assert peak < 3.1 * mixed.vector.nbytes


@pytest.mark.parametrize("weights", [(0.2, 0.2, 0.2), (0.1, 0.2, 0.1), (0.3, 0.2, 0.1)])
def test_equal_weights_are_mixed_as_unequal_ones_are(weights: tuple[float, ...]) -> None:
    own, *others = states(4)
    mixed = own.toward(list(zip(weights, others, strict=True))).vector
    parts = [w * (state.vector.astype(np.float64) - own.vector) for w, state in zip(weights, others, strict=True)]
    assert np.abs(mixed - (own.vector + np.sum(parts, axis=0))).max() < 1e-6


def test_what_one_gains_the_other_loses() -> None:
    first, second, third = states(3)
    there, back = (one.toward([(0.25, other), (0.25, third)]) for one, other in ((first, second), (second, first)))
    moved = third.toward([(0.25, first), (0.25, second)])
    before = sum(state.vector.astype(np.float64) for state in (first, second, third))
    after = sum(state.vector.astype(np.float64) for state in (there, back, moved))
    assert np.abs(after - before).max() < 1e-6


def test_numbers_and_adapters_are_summed_alike() -> None:
    assert weighted_sum([(0.25, 4.0), (0.75, 8.0)]) == pytest.approx(7)
    first, second = states(2)
    generic = first * 0.25 + second * 0.75
    assert np.allclose(weighted_sum([(0.25, first), (0.75, second)]).vector, generic.vector, atol=1e-6)


def test_the_norm_does_not_overflow_and_sees_every_block() -> None:
    vector = np.zeros(SIZE, np.float32)
    vector[[0, -1]] = 3e38
    spec = AdapterSpec((Segment("x", (SIZE,)),))
    assert abs(AdapterState(spec, vector)) == pytest.approx(3e38 * 2**0.5)
    assert abs(AdapterState.zeros(AdapterSpec(()))) == 0


@given(st.floats(-30, 30))
def test_the_norm_is_right_at_every_magnitude(magnitude: float) -> None:
    vector = np.random.default_rng(0).standard_normal(20_000) * 10**magnitude
    state = AdapterState(AdapterSpec((Segment("x", (20_000,)),)), vector.astype(np.float32))
    assert abs(state) == pytest.approx(float(np.linalg.norm(state.vector.astype(np.float64))), rel=1e-6)


def test_every_mixing_of_the_table_leaves_equal_states_as_they_are() -> None:
    for build in MIXINGS.values():
        assert build(GossipConfig()).mix(3.0, 0.5, {"a": (0.25, 3.0), "b": (0.25, 3.0)}) == pytest.approx(3)
