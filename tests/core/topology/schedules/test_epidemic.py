"""Everybody sends to random others."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_schedule, mixing_matrix
from gossipfl.errors import TopologyError


@pytest.mark.parametrize(
    ("nodes", "degree", "sent"), [(2, None, 1), (16, None, 4), (17, None, 5), (16, 1, 1), (6, 5, 5)]
)
def test_every_node_sends_to_degree_others_or_the_logarithm(nodes: int, degree: int | None, sent: int) -> None:
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=degree), [str(n) for n in range(nodes)])
    rows = [schedule.row(node, round) for round in range(30) for node in schedule.nodes]
    assert {len(row.receivers) for row in rows} == {sent}
    assert schedule.neighbors("1") == tuple(sorted({*schedule.nodes} - {"1"}))


def test_the_receiver_averages_its_own_and_all_received_alike() -> None:
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=2), [str(n) for n in range(9)])
    for round in range(20):
        W = mixing_matrix(schedule, round)
        sent = np.array(
            [[node in schedule.row(peer, round).receivers for peer in schedule.nodes] for node in schedule.nodes]
        )
        assert np.array_equal(W, (sent + np.eye(9)) / (1 + sent.sum(axis=1, keepdims=True)))


@pytest.mark.parametrize("nodes", [16, 60])
def test_those_heard_go_by_the_order_of_peers(nodes: int) -> None:
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=7), [f"{n:02}" for n in range(nodes)])
    for node in schedule.nodes:
        # sums are rounded by their order: it is the same on every machine
        heard = list(schedule.row(node, 0).weights)[1:]
        assert heard == sorted(heard)


@pytest.mark.parametrize(("nodes", "degree"), [(3, 1), (5, 1), (5, 2), (12, 4), (40, 3)])
def test_the_contraction_is_the_sum_over_all_numbers_heard(nodes: int, degree: int) -> None:
    # of h others and itself, any set as likely: the mean of h + 1 of n drawn without putting back
    share, others = degree / (nodes - 1), nodes - 1
    chances = [math.comb(others, h) * share**h * (1 - share) ** (others - h) for h in range(nodes)]
    shrunk = sum(chance * (nodes / (h + 1) - 1) / others for h, chance in enumerate(chances))
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=degree), [str(n) for n in range(nodes)])
    assert schedule.contraction == pytest.approx(shrunk, rel=1e-12)


def test_all_sets_of_receivers_are_drawn_alike() -> None:
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=2), list("abcde"))
    drawn = Counter(schedule.row("c", round).receivers for round in range(6000))
    assert set(drawn) == set(itertools.combinations("abde", 2))
    # five deviations of a binomial
    assert all(abs(count - 1000) < 145 for count in drawn.values())


def test_the_mean_is_kept_on_average() -> None:
    schedule = build_schedule(TopologyConfig(schedule="epidemic", degree=1), [str(n) for n in range(6)])
    columns = np.mean([mixing_matrix(schedule, round).sum(axis=0) for round in range(4000)], axis=0)
    assert np.allclose(columns, 1, atol=0.06)
    assert not np.allclose(mixing_matrix(schedule, 0).sum(axis=0), 1)


def test_more_receivers_than_others_are_refused() -> None:
    with pytest.raises(TopologyError, match=r"topology.degree: a node of 4 has 3 others to meet, not 4"):
        build_schedule(TopologyConfig(schedule="epidemic", degree=4), list("abcd"))
