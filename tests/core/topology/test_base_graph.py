"""The Base-(k+1) graph against dense matrices and the lengths of the paper."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.core.topology.base_graph import Edges, base_graph, hyper_hypercube, shortest_factors

LENGTHS = {
    1: {3: 3, 5: 5, 6: 4, 7: 5, 8: 3, 10: 6, 12: 5, 16: 4, 20: 7, 24: 6, 25: 9, 32: 5, 48: 7, 64: 6},
    2: {3: 1, 5: 3, 6: 2, 8: 3, 10: 4, 20: 5, 25: 6, 64: 6},
    3: {5: 3, 6: 2, 8: 2, 16: 2, 20: 4, 64: 3},
}


def dense(edges: Edges, nodes: int) -> NDArray[np.float64]:
    W = np.zeros((nodes, nodes))
    for u, v, weight in edges:
        assert W[u, v] == 0
        W[u, v] = W[v, u] = weight
    return W + np.diag(1 - W.sum(axis=1))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 6])
def test_the_product_of_a_period_is_the_average_for_any_number_of_nodes(degree: int) -> None:
    for nodes in range(2, 65):
        rounds = [dense(edges, nodes) for edges in base_graph(nodes, degree)]
        product = np.linalg.multi_dot([np.eye(nodes), *reversed(rounds), np.eye(nodes)])
        assert np.abs(product - 1 / nodes).max() <= 1e-15
        assert all(W.min() >= 0 for W in rounds)
        assert all(np.count_nonzero(W - np.diag(np.diag(W)), axis=1).max() <= degree for W in rounds)
        assert len(rounds) <= 2 * math.log(nodes, degree + 1) + 2 + 1e-9


@pytest.mark.parametrize(("degree", "nodes"), [(k, n) for k, lengths in LENGTHS.items() for n in lengths])
def test_the_lengths_are_those_of_the_paper(degree: int, nodes: int) -> None:
    assert len(base_graph(nodes, degree)) == LENGTHS[degree][nodes]


@settings(max_examples=40, deadline=None)
@given(nodes=st.integers(65, 3000), degree=st.integers(1, 9))
def test_larger_graphs_average_exactly_and_keep_to_the_bound(nodes: int, degree: int) -> None:
    rounds = base_graph(nodes, degree)
    start = np.random.default_rng(nodes).standard_normal(nodes)
    x = start.copy()
    for edges in rounds:
        u, v = (np.array([edge[end] for edge in edges]) for end in (0, 1))
        weights = np.array([weight for *_, weight in edges])
        change = np.zeros(nodes)
        np.add.at(change, u, weights * (x[v] - x[u]))
        np.add.at(change, v, weights * (x[u] - x[v]))
        x = x + change
    assert np.abs(x - start.mean()).max() <= 1e-13
    assert len(rounds) <= 2 * math.log(nodes, degree + 1) + 2 + 1e-9


def test_no_round_of_a_period_is_empty() -> None:
    assert all(
        edges for nodes, degree in itertools.product(range(2, 65), (1, 2, 3)) for edges in base_graph(nodes, degree)
    )


def test_with_enough_peers_one_round_is_the_complete_graph() -> None:
    (edges,) = base_graph(7, 6)
    assert len(edges) == 21
    assert base_graph(7, 100) == [edges]


def test_a_hyper_hypercube_takes_as_few_rounds_as_the_number_has_factors() -> None:
    # taking the largest factor first would leave 8 · 3 · 3 · 3
    assert shortest_factors(216, 8) == (6, 6, 6)
    assert len(hyper_hypercube(range(216), 7)) == 3
    assert hyper_hypercube(range(1), 1) == []
    with pytest.raises(ValueError, match="10 has a prime factor above 3"):
        hyper_hypercube(range(10), 2)


@given(number=st.integers(1, 2000), largest=st.integers(2, 50))
def test_shortest_factors_multiply_to_the_number(number: int, largest: int) -> None:
    try:
        factors = shortest_factors(number, largest)
    except ValueError:
        assert any(number % prime == 0 for prime in range(largest + 1, number + 1))
        return
    assert math.prod(factors) == number
    assert all(2 <= factor <= largest for factor in factors)
