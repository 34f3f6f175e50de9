"""Random pairs in every round."""

import math
from collections import Counter

import numpy as np
import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.topology import agreement, build_schedule, mixing_matrix
from gossipfl.core.topology.schedules.random_matching import RandomMatching


def made(nodes: int) -> RandomMatching:
    schedule = build_schedule(TopologyConfig(schedule="random_matching"), [f"n{number}" for number in range(nodes)])
    assert isinstance(schedule, RandomMatching)
    return schedule


@pytest.mark.parametrize("nodes", [2, 3, 8, 13])
def test_pairs_are_disjoint_and_one_node_rests_where_the_number_is_odd(nodes: int) -> None:
    schedule = made(nodes)
    for round in range(50):
        partners = {node: schedule.partner(node, round) for node in schedule.nodes}
        resting = [node for node, partner in partners.items() if partner is None]
        assert len(resting) == nodes % 2
        assert all(partners[partner] == node != partner for node, partner in partners.items() if partner)
        assert all(schedule.row(node, round) == Row({node: 1.0}, ()) for node in resting)
        assert all(schedule.row(u, round) == Row({u: 0.5, v: 0.5}, (v,)) for u, v in partners.items() if v)


@pytest.mark.parametrize(("nodes", "matchings"), [(4, 3), (5, 15), (6, 15)])
def test_all_matchings_are_drawn_alike(nodes: int, matchings: int) -> None:
    schedule, rounds = made(nodes), 400 * matchings
    drawn = Counter(tuple(schedule.partner(node, round) for node in schedule.nodes) for round in range(rounds))
    assert len(drawn) == matchings
    # five deviations of a binomial
    assert all(abs(count - 400) < 5 * math.sqrt(400) for count in drawn.values())


@pytest.mark.parametrize(("nodes", "expected"), [(2, 0.0), (3, 0.5), (4, 1 / 3), (16, 7 / 15), (17, 0.5)])
def test_the_contraction_is_the_expectation_over_all_pairs(nodes: int, expected: float) -> None:
    assert made(nodes).contraction == pytest.approx(expected)
    assert agreement(made(nodes)).lam == pytest.approx(math.sqrt(expected))


@pytest.mark.parametrize("nodes", [4, 9])
def test_a_round_is_a_projection(nodes: int) -> None:
    for round in range(20):
        W = mixing_matrix(made(nodes), round)
        assert np.array_equal(W @ W, W)
        assert np.array_equal(W, W.T)
