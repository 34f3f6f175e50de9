"""What equations determine, held against what is known of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.core.knowledge import Combination, solve


def test_an_unknown_that_stands_alone_is_determined_and_those_that_only_come_together_are_not() -> None:
    one = Combination.of_one(0, 3, 2.0)
    both = Combination.of_one(1, 3, 5.0) + Combination.of_one(2, 3, 7.0)
    found = solve([one, both, both * 2.0], 3)
    assert found.determined.tolist() == [True, False, False]
    assert found.estimates == pytest.approx([2.0, 6.0, 6.0])


def test_without_equations_nothing_is_determined() -> None:
    assert not solve([], 4).determined.any()
    assert not solve([Combination.zero(4)], 4).determined.any()


def test_of_two_rounds_of_sums_the_difference_is_determined() -> None:
    """The leak of a sum that is repeated over other senders."""
    three = sum((Combination.of_one(place, 3, float(place + 1)) for place in range(3)), Combination.zero(3))
    two = three - Combination.of_one(2, 3, 3.0)
    assert solve([three, two], 3).determined.tolist() == [False, False, True]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_what_is_determined_is_right_and_so_many_as_the_rank_allows(unknowns: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(unknowns)
    # small whole numbers: many dependent rows
    matrix = rng.integers(-1, 2, (rows, unknowns)).astype(float)
    found = solve([Combination(row, float(row @ truth)) for row in matrix], unknowns)
    rank = np.linalg.matrix_rank(matrix) if rows else 0
    assert found.determined.sum() <= rank
    assert found.determined.all() == (rank == unknowns)
    assert np.allclose(found.estimates[found.determined], truth[found.determined], atol=1e-8)
    for place in range(unknowns):
        more = np.vstack([matrix, np.eye(1, unknowns, place)])
        assert found.determined[place] == (np.linalg.matrix_rank(more) == rank)
