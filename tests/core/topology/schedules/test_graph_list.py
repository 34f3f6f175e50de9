"""The graphs of a file, one a round in turn."""

from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config.graph_files import graph_for
from gossipfl.config.graph_types import DiGraph, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import agreement, build_schedule, mixing_matrix
from gossipfl.errors import TopologyError

SHIFTS = TopologyConfig(kind="two_shifts.yaml", schedule="graphs")
EXAMPLES = Path(__file__).parents[4] / "topologies"
HOSPITALS = ["north", "south", "east", "lab"]


def test_the_example_goes_through_its_graphs_in_turn() -> None:
    schedule = build_schedule(SHIFTS, HOSPITALS, graph_for(SHIFTS, EXAMPLES))
    assert schedule.period == 2
    by_day, by_night = ([schedule.row(node, round).receivers for node in HOSPITALS] for round in (4, 7))
    assert by_day == [("lab",), ("lab",), ("lab",), ("north", "south", "east")]
    assert by_night == [("south",), ("north", "east"), ("south",), ()]
    assert schedule.neighbors("south") == ("east", "lab", "north")


def test_a_round_has_the_weights_of_its_own_graph_and_the_period_that_of_the_product() -> None:
    graphs = (Graph([("a", "b"), ("c", "d")]), Graph([("b", "c")]), Graph([("a", "c"), ("a", "d")]))
    config = TopologyConfig(kind="f.yaml", schedule="graphs")
    schedule = build_schedule(config, list("abcd"), graphs)
    assert schedule.row("b", 1).weights == {"b": 0.5, "c": 0.5}
    assert schedule.row("a", 2).weights == pytest.approx({"a": 1 / 3, "c": 1 / 3, "d": 1 / 3})
    product = reduce(lambda done, W: W @ done, (mixing_matrix(schedule, round) for round in range(3)))
    assert agreement(schedule).lam == pytest.approx(np.linalg.norm(product - 1 / 4, 2))
    assert 0 < agreement(schedule).lam < 1


def test_four_nodes_in_two_rounds_of_pairs_are_exact() -> None:
    graphs = (Graph([("a", "b"), ("c", "d")]), Graph([("a", "c"), ("b", "d")]))
    schedule = build_schedule(TopologyConfig(kind="f.json", schedule="graphs"), list("abcd"), graphs)
    assert agreement(schedule).lam == 0.0


def test_a_directed_graph_may_stand_between_undirected_ones() -> None:
    config = TopologyConfig(kind="f.json", schedule="graphs")
    schedule = build_schedule(config, list("abc"), (DiGraph([("a", "b")]), Graph([("b", "c"), ("a", "c")])))
    assert schedule.row("b", 0).weights == {"b": 0.5, "a": 0.5}
    assert schedule.row("a", 0).weights == {"a": 1.0}


def test_graphs_that_leave_a_node_out_together_are_refused() -> None:
    config = TopologyConfig(kind="f.json", schedule="graphs")
    with pytest.raises(TopologyError, match="in no edge of the graph: c"):
        build_schedule(config, list("abc"), (Graph([("a", "b")]), Graph([("b", "a")])))
    with pytest.raises(TopologyError, match="2 components"):
        build_schedule(config, list("abcd"), (Graph([("a", "b")]), Graph([("c", "d")])))


def test_one_graph_of_a_file_is_the_static_schedule_in_all_but_name() -> None:
    given = Graph([("a", "b"), ("b", "c")])
    listed = build_schedule(TopologyConfig(kind="f.gml", schedule="graphs"), list("abc"), given)
    static = build_schedule(TopologyConfig(kind="f.gml"), list("abc"), given)
    assert all(listed.row(node, 3) == static.row(node, 3) for node in "abc")


def test_a_generator_has_no_list_and_a_list_goes_with_no_other_schedule() -> None:
    with pytest.raises(TopologyError, match=r"topology.kind: schedule graphs takes its rounds from .*, 'ring' is none"):
        build_schedule(TopologyConfig(schedule="graphs"), list("abc"))
    for schedule in ("static", "random_edge"):
        config = TopologyConfig(kind="two_shifts.yaml", schedule=schedule)
        with pytest.raises(TopologyError, match=f"two_shifts.yaml holds 2 graphs, .*; {schedule} takes one"):
            build_schedule(config, HOSPITALS, graph_for(config, EXAMPLES))
