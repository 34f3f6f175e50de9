"""The Rényi bound: the least over all orders, though few of them are computed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.privacy import rdp
from gossipfl.privacy.rdp import MUCH_NOISE, ORDERS, Composition, rdp_epsilon

kinds = st.tuples(st.floats(0.001, 1.0), st.floats(0.3, 2 * MUCH_NOISE), st.integers(1, 2000))


def over_all_orders(composition: Composition, delta: float) -> float:
    """By the formula, order by order."""
    found = math.inf
    for order in ORDERS:
        one_step = [(rdp._rdp(order, sample_rate=q, noise_multiplier=noise), steps) for q, noise, steps in composition]
        total = sum(cost * steps for cost, steps in one_step)
        found = min(found, total - (math.log(delta) + math.log(order)) / (order - 1) + math.log1p(-1 / order))
    return max(0.0, found)


@settings(max_examples=15, deadline=None)
@given(st.lists(kinds, min_size=1, max_size=2), st.sampled_from([1e-3, 1e-5, 1e-9]))
def test_it_is_the_least_over_all_orders(composition: list[tuple[float, float, int]], delta: float) -> None:
    rdp._known.cache_clear()
    assert rdp_epsilon(tuple(composition), delta) == pytest.approx(over_all_orders(tuple(composition), delta), rel=1e-9)


def test_what_was_computed_for_one_question_does_not_change_the_answer_to_another() -> None:
    questions = [(((0.1, 1.0, steps),), delta) for steps in (1, 10_000, 30) for delta in (1e-9, 1e-3)]
    rdp._known.cache_clear()
    one_after_the_other = [rdp_epsilon(*question) for question in questions]
    for question, answer in zip(questions, one_after_the_other, strict=True):
        rdp._known.cache_clear()
        assert rdp_epsilon(*question) == answer


def test_most_orders_are_not_computed() -> None:
    rdp._known.cache_clear()
    rdp_epsilon(((0.1, 1.0, 100),), 1e-5)
    assert np.isfinite(rdp._known(0.1, 1.0)).sum() < len(ORDERS) / 3


def test_an_order_that_cannot_be_computed_says_nothing_of_higher_ones() -> None:
    # beyond much noise fractional orders, the lowest among them, are left out
    epsilon = rdp_epsilon(((0.5, 2 * MUCH_NOISE, 100),), 1e-5)
    assert 0 < epsilon == pytest.approx(over_all_orders(((0.5, 2 * MUCH_NOISE, 100),), 1e-5), rel=1e-9)
