"""The fastest weights there are, against the graphs whose optimum is known in closed form."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from tests.core.topology.test_weights import connected_graphs

from gossipfl.config.graph_types import DiGraph, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import agreement, build_schedule, is_doubly_stochastic, mixing_matrix
from gossipfl.core.topology.optimal import GRID
from gossipfl.errors import TopologyError

GRID_ERROR = 1e-5
"""What rounding to the grid may cost: a few steps of it a node."""


@pytest.fixture
def _solver() -> None:
    pytest.importorskip("cvxpy", reason="the extra `optimal` is not installed")


def lam(kind: str, nodes: int, weights: str = "optimal") -> float:
    names = [f"n{number}" for number in range(nodes)]
    return agreement(build_schedule(TopologyConfig(kind=kind, weights=weights), names)).lam


def ring(nodes: int) -> float:
    c = math.cos(2 * math.pi / nodes)
    return (1 + c) / (3 - c)


@pytest.mark.usefixtures("_solver")
@pytest.mark.parametrize(
    ("kind", "nodes", "known"),
    [
        *(("ring", nodes, ring(nodes)) for nodes in (4, 8, 16, 32)),
        *(("path", nodes, math.cos(math.pi / nodes)) for nodes in (3, 9, 20)),
        *(("star", nodes, (nodes - 2) / (nodes - 1)) for nodes in (4, 16)),
        *(("hypercube", 2**power, (power - 1) / (power + 1)) for power in (2, 3, 4)),
        ("complete", 7, 0.0),
        ("complete", 8, 0.0),
    ],
)
def test_the_optimum_is_the_one_that_is_known(kind: str, nodes: int, known: float) -> None:
    assert lam(kind, nodes) == pytest.approx(known, abs=GRID_ERROR)


@pytest.mark.usefixtures("_solver")
@settings(deadline=None, max_examples=40)
@given(graph=connected_graphs())
def test_no_graph_agrees_slower_than_with_metropolis_and_the_mean_is_kept(graph: Graph) -> None:
    schedules = [
        build_schedule(TopologyConfig(kind="f.gml", weights=weights), list(graph), graph)
        for weights in ("optimal", "metropolis")
    ]
    optimal, metropolis = (agreement(schedule).lam for schedule in schedules)
    assert optimal <= metropolis + 1e-12
    W = mixing_matrix(schedules[0])
    assert np.array_equal(W, W.T)
    assert W.min() >= 0
    assert is_doubly_stochastic(W)
    assert ((W > 0) & ~np.eye(len(W), dtype=bool) <= (nx.to_numpy_array(graph) > 0)).all()


@pytest.mark.usefixtures("_solver")
def test_weights_lie_on_a_grid_and_rows_sum_to_one_without_rounding() -> None:
    names = [f"n{number}" for number in range(12)]
    W = mixing_matrix(build_schedule(TopologyConfig(kind="watts_strogatz", weights="optimal"), names))
    assert np.array_equal(W / GRID, np.round(W / GRID))
    assert np.array_equal(W.sum(axis=1), np.ones(12))


@pytest.mark.usefixtures("_solver")
def test_the_order_of_edges_in_a_file_changes_no_digit() -> None:
    config, edges = TopologyConfig(kind="f.gml", weights="optimal"), list(nx.petersen_graph().edges())
    edges.remove((0, 1))
    one = Graph((f"n{u}", f"n{v}") for u, v in edges)
    other = Graph((f"n{v}", f"n{u}") for u, v in reversed(edges))
    names = [f"n{number}" for number in range(10)]
    assert build_schedule(config, names, one).digest() == build_schedule(config, names, other).digest()


@pytest.mark.usefixtures("_solver")
def test_a_barbell_passes_more_over_its_bridge_than_metropolis_would() -> None:
    graph = Graph((f"n{u}", f"n{v}") for u, v in nx.barbell_graph(5, 0).edges())
    schedule = build_schedule(TopologyConfig(kind="f.gml", weights="optimal"), list(graph), graph)
    assert schedule.row("n4", 0).weights["n5"] > 2 * (1 / 6)
    assert agreement(schedule).lam == pytest.approx(0.91774, abs=1e-4)


def test_a_directed_or_too_large_graph_is_refused_before_any_solver_is_asked() -> None:
    config = TopologyConfig(kind="f.yaml", weights="optimal")
    with pytest.raises(TopologyError, match="optimal needs an undirected connected graph"):
        build_schedule(config, list("abc"), DiGraph([("a", "b"), ("b", "c"), ("c", "a")]))
    with pytest.raises(TopologyError, match="optimal is for 80 nodes at most, not 81: take metropolis"):
        lam("ring", 81)


def test_without_the_solver_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is how Python itself marks a module as not to be imported
    monkeypatch.setitem(__import__("sys").modules, "cvxpy", None)
    with pytest.raises(TopologyError, match=r"pip install 'gossipfl\[optimal\]'") as caught:
        lam("path", 13)
    assert "\n" not in str(caught.value)
