"""λ, spectral gap and steps of algorithms.md 3."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import (
    build_schedule,
    is_doubly_stochastic,
    mixing_matrix,
    second_eigenvalue,
    sparse_matrix,
    spectral_gap,
    steps_to,
)
from gossipfl.core.topology.spectrum import _sparse_norm


def lam_of(kind: str, nodes: int, **fields: object) -> float:
    config = TopologyConfig.model_validate({"kind": kind, **fields})
    return second_eigenvalue(sparse_matrix(build_schedule(config, [f"n{number}" for number in range(nodes)])))


@pytest.mark.parametrize(
    ("kind", "nodes", "known"),
    [
        ("ring", 8, 0.8047),
        ("hypercube", 8, 0.5),
        ("ring", 16, 0.9493),
        ("torus", 16, 0.6),
        ("star", 16, 0.9375),
        ("ring", 32, 0.9872),
        ("hypercube", 32, 0.6667),
        ("ring", 64, 0.9968),
        ("torus", 64, 0.8828),
        ("hypercube", 64, 0.7143),
        ("exponential", 8, 0.5),
        ("exponential", 16, 0.6),
        ("exponential", 32, 0.6667),
        ("exponential", 64, 0.7143),
        ("complete", 7, 0.0),
    ],
)
def test_lambda_equals_the_table(kind: str, nodes: int, known: float) -> None:
    assert lam_of(kind, nodes) == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("nodes", range(2, 40))
def test_lambda_of_a_ring_equals_its_formula(nodes: int) -> None:
    weight = 0.5 if nodes == 2 else 1 / 3
    known = abs(1 - (2 if nodes > 2 else 1) * weight * (1 - math.cos(2 * math.pi / nodes)))
    assert lam_of("ring", nodes) == pytest.approx(known, abs=1e-12)


@pytest.mark.slow
def test_lambda_of_ten_thousand_nodes_needs_no_dense_matrix() -> None:
    # 1 − λ = 1.3e-7: Lanczos does not get there, the inverted Laplacian does
    assert spectral_gap(ring_matrix(10_000)) == pytest.approx((2 - 2 * math.cos(2 * math.pi / 10_000)) / 3, rel=1e-4)
    assert lam_of("torus", 10_000, shape=[100, 100]) == pytest.approx(
        1 - (2 - 2 * math.cos(2 * math.pi / 100)) / 5, abs=1e-9
    )
    # τ = 14, n no power of two: the bound of Ying et al. is (τ − 1)/(τ + 1)
    assert lam_of("exponential", 10_000) <= 13 / 15 + 1e-9


def ring_matrix(nodes: int) -> sparse.csr_array:
    return sparse_matrix(build_schedule(TopologyConfig(kind="ring"), [str(number) for number in range(nodes)]))


@pytest.mark.parametrize("kind", ["ring", "star", "exponential", "barabasi_albert", "random_regular"])
def test_the_sparse_solver_agrees_with_the_dense_one(kind: str) -> None:
    schedule = build_schedule(TopologyConfig(kind=kind), [str(number) for number in range(300)])
    W = sparse_matrix(schedule)
    assert _sparse_norm(W) == pytest.approx(second_eigenvalue(mixing_matrix(schedule)), abs=1e-8)


def test_weights_that_lose_the_mean_have_a_lambda_above_one_also_in_large_graphs() -> None:
    path = build_schedule(TopologyConfig(kind="path", weights="uniform"), [str(number) for number in range(300)])
    assert _sparse_norm(sparse_matrix(path)) == pytest.approx(second_eigenvalue(mixing_matrix(path)), abs=1e-8)
    assert not is_doubly_stochastic(mixing_matrix(path))
    assert lam_of("path", 5000, weights="uniform") > 1


@settings(max_examples=30, deadline=None)
@given(nodes=st.integers(2, 20), seed=st.integers(0, 2**32 - 1), rounds=st.integers(1, 5))
def test_the_distance_from_the_mean_shrinks_by_lambda_a_round(nodes: int, seed: int, rounds: int) -> None:
    config = TopologyConfig(kind="erdos_renyi", seed=seed)
    W = mixing_matrix(build_schedule(config, [str(number) for number in range(nodes)]))
    x = np.random.default_rng(seed).standard_normal(nodes)
    mixed = np.linalg.matrix_power(W, rounds) @ x
    lam = second_eigenvalue(W)
    assert np.linalg.norm(mixed - x.mean()) <= lam**rounds * np.linalg.norm(x - x.mean()) + 1e-12


def test_steps_are_the_first_round_below_the_tolerance() -> None:
    assert steps_to(0.5, 1e-3) == 10
    assert steps_to(0.1, 1e-3) == 3
    assert steps_to(0.0, 1e-3) == 1
    assert steps_to(1.0, 1e-3) is None
    assert steps_to(1.06, 1e-3) is None


@given(lam=st.floats(0.001, 0.9999))
def test_steps_are_enough_and_not_one_more(lam: float) -> None:
    steps = steps_to(lam, 1e-3)
    assert steps is not None
    assert lam**steps <= 1e-3 * (1 + 1e-6)
    assert steps == 1 or lam ** (steps - 1) > 1e-3 * (1 - 1e-6)


def test_the_dense_matrix_is_the_sparse_one() -> None:
    schedule = build_schedule(TopologyConfig(kind="exponential"), list("abcde"))
    W = mixing_matrix(schedule)
    assert np.array_equal(W, sparse_matrix(schedule).toarray())
    # row: a receives from b (hop 1), c (hop 2) and e (hop 4)
    assert np.array_equal(W[0], [0.25, 0.25, 0.25, 0, 0.25])


def test_a_directed_ring_has_the_norm_of_its_matrix() -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")])
    schedule = build_schedule(TopologyConfig(kind="relay.yaml"), list("abcd"), graph)
    assert second_eigenvalue(mixing_matrix(schedule)) == pytest.approx(math.sqrt(0.5))
