"""The static schedule: one value, the same on every machine."""

import math

import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import StaticSchedule, build_schedule

NAMES = ["delta", "alpha", "charlie", "bravo"]


def ring() -> StaticSchedule:
    schedule = build_schedule(TopologyConfig(kind="ring"), NAMES)
    assert isinstance(schedule, StaticSchedule)
    return schedule


def test_rows_go_by_the_order_of_peers_and_neighbors_are_sorted() -> None:
    schedule = ring()
    assert schedule.nodes == tuple(NAMES)
    assert list(schedule.row("delta", 0).weights) == ["delta", "alpha", "bravo"]
    assert schedule.row("charlie", 0).receivers == ("alpha", "bravo")
    assert schedule.neighbors("charlie") == ("alpha", "bravo")


def test_every_round_is_the_same() -> None:
    assert ring().row("alpha", 0) == ring().row("alpha", 10**9)
    assert ring().period == 1


def test_a_row_sums_to_one_with_the_own_weight_in_it() -> None:
    for node in NAMES:
        assert math.fsum(ring().row(node, 0).weights.values()) == pytest.approx(1, abs=1e-15)


def test_equal_schedules_have_equal_digests_and_others_do_not() -> None:
    assert ring().digest() == ring().digest()
    star = build_schedule(TopologyConfig(kind="star"), NAMES)
    assert isinstance(star, StaticSchedule)
    assert star.digest() != ring().digest()


def test_ten_thousand_nodes_are_no_matter() -> None:
    schedule = build_schedule(TopologyConfig(kind="random_regular", degree=4), [f"n{i}" for i in range(10_000)])
    assert len(schedule.row("n9999", 0).weights) == 5
