"""Means, deviations and intervals, against numpy, scipy and tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gossipfl.report.statistics import Difference, Estimate, estimate, paired_difference

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
UNKNOWN = math.nan


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_a_known_case_by_hand() -> None:
    # differences 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.302653
    found = paired_difference(by_seed(11, 22, 33), by_seed(10, 20, 30))
    half = 4.302653 / math.sqrt(3)
    assert found.mean == 2
    assert found.low == pytest.approx(2 - half, abs=1e-6)
    assert found.high == pytest.approx(2 + half, abs=1e-6)
    assert found.pairs == 3
    assert not found.excludes_zero
    assert estimate([1, 2, 3]) == Estimate(2, 1, 3)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12))
def test_the_interval_is_that_of_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    if np.ptp(ours - theirs) < 1e-6:
        return
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    found = paired_difference(by_seed(*ours), by_seed(*theirs))
    assert found.mean == pytest.approx(float((ours - theirs).mean()), abs=1e-9)
    assert found.low == pytest.approx(float(interval.low), rel=1e-6, abs=1e-6)
    assert found.high == pytest.approx(float(interval.high), rel=1e-6, abs=1e-6)


@given(st.lists(numbers, min_size=2, max_size=12))
def test_the_deviation_is_the_samples(values: list[float]) -> None:
    found = estimate(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))


def test_one_seed_has_a_mean_and_no_interval() -> None:
    assert paired_difference({4: 0.75}, {4: 0.5}) == Difference(0.25, None, None, 1)
    assert estimate([0.5]) == Estimate(0.5, None, 1)


def test_what_is_unknown_is_left_out_and_seeds_are_paired_by_their_number() -> None:
    found = paired_difference({2: 5.0, 1: 4.0, 0: UNKNOWN, 9: 1.0}, {0: 1.0, 1: 1.0, 2: 1.0})
    assert (found.mean, found.pairs) == (3.5, 2)
    assert paired_difference({0: 1.0}, {1: 1.0}) == Difference(None, None, None, 0)
    assert estimate([UNKNOWN, 3.0]) == Estimate(3.0, None, 1)
    assert estimate([]) == Estimate(None, None, 0)


def test_equal_differences_have_an_interval_of_no_width() -> None:
    found = paired_difference(by_seed(1, 2, 3), by_seed(0, 1, 2))
    assert (found.mean, found.low, found.high) == (1, 1, 1)
    assert found.excludes_zero
