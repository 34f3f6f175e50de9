import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossipfl.core.fixed_point import FixedPoint
from gossipfl.state import Float32Vector

RING = FixedPoint(32, 22, 16.0)
WIDE = FixedPoint(64, 24, 1000.0)
rings = st.sampled_from([RING, WIDE])
weights = st.floats(0.01, 0.25)


def values(bound: float) -> st.SearchStrategy[Float32Vector]:
    return arrays(np.float32, 50, elements=st.floats(-bound, bound, width=32))


@given(rings, st.lists(st.tuples(weights, values(16.0)), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_sum_of_integers_is_exact_in_any_order_and_loses_every_mask_that_is_taken_away(
    ring: FixedPoint, terms: list[tuple[float, Float32Vector]], seed: int
) -> None:
    encoded = [ring.encode(vector, weight) for weight, vector in terms]
    exact = [np.rint(vector * np.float64(weight * 2.0**ring.scale_bits)) for weight, vector in terms]
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 2**ring.bits, 50, dtype=ring.words.type, endpoint=False)
    total = mask.copy()
    for place in rng.permutation(len(encoded)):
        words = encoded[place]
        assert words is not None
        total += words
    signed = (total - mask).view(f"<i{ring.bits // 8}")
    assert signed.tolist() == np.sum(exact, axis=0).tolist()


@given(rings, st.lists(st.tuples(weights, values(16.0)), min_size=1, max_size=4))
def test_a_mean_is_the_weighted_mean_to_half_a_unit_a_term(
    ring: FixedPoint, terms: list[tuple[float, Float32Vector]]
) -> None:
    total = np.zeros(50, ring.words)
    for weight, vector in terms:
        words = ring.encode(vector, weight)
        assert words is not None
        total += words
    weight = sum(weight for weight, _ in terms)
    mean = ring.mean(total, weight, len(terms))
    assert mean is not None
    exact = sum(weight * vector.astype(np.float64) for weight, vector in terms) / weight
    unit = 2.0**-ring.scale_bits
    assert np.abs(mean - exact).max() <= 0.5 * unit * len(terms) / weight + 2.0**-23 * np.abs(exact).max()


@pytest.mark.parametrize("beyond", [16.001, -17.0, np.inf, -np.inf, np.nan])
def test_a_value_beyond_the_bound_is_not_encoded(beyond: float) -> None:
    vector = np.ones(100_000, np.float32)
    assert RING.encode(vector, 0.3) is not None
    vector[70_000] = beyond
    assert RING.encode(vector, 0.3) is None


def test_what_no_values_within_the_bound_add_up_to_is_no_mean() -> None:
    most = np.full(10, 16.0, np.float32)
    words = RING.encode(most, 0.25)
    assert words is not None
    assert RING.mean(words * np.uint32(3), 0.75, 3) is not None
    assert RING.mean(words * np.uint32(4), 0.75, 3) is None
    assert RING.mean(np.arange(2**31, 2**31 + 10, dtype=np.uint32), 0.75, 3) is None


def test_a_ring_holds_as_many_senders_as_their_sum_cannot_wrap() -> None:
    # (senders + 1) · 16 · 2^22 < 2^31
    assert RING.holds(30)
    assert not RING.holds(31)
    most = [RING.encode(np.full(3, 16.0, np.float32), 1.0) for _ in range(30)]
    total = np.zeros(3, np.uint32)
    for words in most:
        assert words is not None
        total += words
    mean = RING.mean(total, 30.0, 30)
    assert mean is not None
    assert mean.tolist() == [16.0] * 3
