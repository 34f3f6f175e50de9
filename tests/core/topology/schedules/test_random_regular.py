"""Another random regular graph in every round."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology import build_graph, build_schedule, mixing_matrix
from gossipfl.errors import TopologyError


def made(nodes: int, degree: int | None = None) -> Schedule:
    config = TopologyConfig(schedule="random_regular", degree=degree)
    return build_schedule(config, [f"n{number}" for number in range(nodes)])


@pytest.mark.parametrize(
    ("nodes", "degree", "met"), [(2, None, 1), (3, None, 2), (16, None, 3), (17, None, 4), (9, 8, 8)]
)
def test_every_node_meets_degree_others_and_all_weigh_alike(nodes: int, degree: int | None, met: int) -> None:
    schedule = made(nodes, degree)
    for round in range(20):
        W = mixing_matrix(schedule, round)
        assert np.array_equal(W, W.T)
        assert np.array_equal(np.unique(W[W > 0]), [1 / (1 + met)])
        assert np.array_equal((W > 0).sum(axis=1), np.full(nodes, 1 + met))
        assert (np.diag(W) > 0).all()


@pytest.mark.parametrize("degree", [3, 5])
def test_all_pairs_are_met_alike(degree: int) -> None:
    schedule, rounds = made(8, degree), 3000
    met = Counter(
        (node, peer)
        for round in range(rounds)
        for node in schedule.nodes
        for peer in schedule.row(node, round).receivers
    )
    assert set(met) == set(itertools.permutations(schedule.nodes, 2))
    share = degree / 7
    # five deviations of a binomial
    assert all(abs(count - share * rounds) < 5 * math.sqrt(rounds * share * (1 - share)) for count in met.values())


@pytest.mark.parametrize(("nodes", "degree", "expected"), [(16, 15, 0.0), (16, 3, 0.2), (8, 1, 3 / 7), (9, 2, 0.25)])
def test_the_contraction_is_the_formula(nodes: int, degree: int, expected: float) -> None:
    assert made(nodes, degree).contraction == pytest.approx(expected)


def test_many_neighbors_are_drawn_as_fast_as_few() -> None:
    # pairing as many would go on for hours
    schedule = made(64, 60)
    W = mixing_matrix(schedule, 1)
    assert np.array_equal(W, W.T)
    assert np.array_equal((W > 0).sum(axis=1), np.full(64, 61))
    assert schedule.row("n0", 1) != schedule.row("n0", 2)
    whole = build_graph(TopologyConfig(kind="random_regular", degree=60), [f"n{number}" for number in range(64)])
    assert {degree for _, degree in whole.degree()} == {60}


@pytest.mark.parametrize(("nodes", "degree"), [(4, 4), (5, 3)])
def test_a_degree_that_no_graph_has_is_refused(nodes: int, degree: int) -> None:
    with pytest.raises(TopologyError, match=rf"topology.degree: random_regular on {nodes} .*, not {degree}"):
        made(nodes, degree)
