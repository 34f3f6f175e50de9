"""The Base-(k+1) schedule on names: exact, with few peers."""

import pytest

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import agreement, build_schedule
from gossipfl.errors import TopologyError


@pytest.mark.parametrize("degree", [None, 1, 2, 3])
def test_nobody_meets_more_than_degree_peers_a_round_one_by_default(degree: int | None) -> None:
    schedule = build_schedule(TopologyConfig(schedule="base", degree=degree), [f"n{number}" for number in range(23)])
    assert schedule.period is not None
    rows = [schedule.row(node, round) for round in range(schedule.period) for node in schedule.nodes]
    assert max(len(row.receivers) for row in rows) == (degree or 1)
    assert agreement(schedule).lam == 0.0
    assert agreement(schedule).steps_to() == schedule.period


def test_five_nodes_are_the_example_of_the_paper() -> None:
    schedule = build_schedule(TopologyConfig(schedule="base"), list("abcde"))
    # two rounds among the four, the fifth meets one of them, two rounds spread what it brought
    assert [schedule.row("e", round).receivers for round in range(5)] == [(), (), ("a",), (), ()]
    assert schedule.row("e", 2).weights == pytest.approx({"e": 0.2, "a": 0.8})
    assert schedule.row("e", 0).weights == {"e": 1.0}


def test_more_peers_than_others_are_refused() -> None:
    with pytest.raises(TopologyError, match=r"topology.degree: a node of 4 has 3 others to meet, not 4"):
        build_schedule(TopologyConfig(schedule="base", degree=4), list("abcd"))
    assert build_schedule(TopologyConfig(schedule="base", degree=3), list("abcd")).period == 1


@pytest.mark.slow
def test_the_average_of_ten_thousand_nodes_is_exact() -> None:
    schedule = build_schedule(TopologyConfig(schedule="base"), [f"n{number}" for number in range(10_000)])
    assert agreement(schedule).lam == 0.0
    assert schedule.period == 23
