"""Mixing weights: the laws that keep the mean."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.graph_types import DiGraph, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import agreement, build_schedule, is_doubly_stochastic, mixing_matrix
from gossipfl.errors import ConfigError, TopologyError


@st.composite
def connected_graphs(draw: st.DrawFn) -> Graph:
    """A random tree and any further edges."""
    count = draw(st.integers(2, 16))
    graph = Graph()
    for node in range(1, count):
        graph.add_edge(f"n{node}", f"n{draw(st.integers(0, node - 1))}")
    places = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(places, places), max_size=30))
    graph.add_edges_from((f"n{u}", f"n{v}") for u, v in pairs if u != v)
    return graph


@settings(deadline=None, max_examples=100)
@given(graph=connected_graphs())
def test_metropolis_is_symmetric_doubly_stochastic_and_local(graph: Graph) -> None:
    schedule = build_schedule(TopologyConfig(kind="f.gml", weights="metropolis"), list(graph), graph)
    W = mixing_matrix(schedule)
    assert np.array_equal(W, W.T)
    assert np.allclose(W.sum(axis=0), 1, atol=1e-14)
    assert (W >= 0).all()
    assert (np.diag(W) > 0).all()
    assert np.array_equal((W > 0) & ~np.eye(len(W), dtype=bool), nx.to_numpy_array(graph) > 0)


@settings(deadline=None, max_examples=50)
@given(graph=connected_graphs())
def test_uniform_rows_sum_to_one_and_columns_only_on_regular_graphs(graph: Graph) -> None:
    schedule = build_schedule(TopologyConfig(kind="f.gml", weights="uniform"), list(graph), graph)
    W = mixing_matrix(schedule)
    assert np.allclose(W.sum(axis=1), 1, atol=1e-14)
    if nx.is_regular(graph):
        assert is_doubly_stochastic(W)


def test_uniform_on_a_star_does_not_keep_the_mean() -> None:
    schedule = build_schedule(TopologyConfig(kind="star", weights="uniform"), list("abcd"))
    assert not is_doubly_stochastic(mixing_matrix(schedule))


def test_auto_is_metropolis_undirected_and_uniform_directed() -> None:
    graph = Graph([("a", "b"), ("b", "c")])
    auto = build_schedule(TopologyConfig(kind="f.gml"), list("abc"), graph)
    assert auto == build_schedule(TopologyConfig(kind="f.gml", weights="metropolis"), list("abc"), graph)
    directed = build_schedule(TopologyConfig(kind="exponential"), list("abc"))
    assert directed == build_schedule(TopologyConfig(kind="exponential", weights="uniform"), list("abc"))


def test_metropolis_on_a_directed_graph_says_what_to_take() -> None:
    with pytest.raises(TopologyError, match="take uniform"):
        build_schedule(TopologyConfig(kind="exponential", weights="metropolis"), list("abc"))


def test_unknown_weights_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"topology.weights: 'metropolos' is unknown; did you mean 'metropolis'"):
        build_schedule(TopologyConfig(kind="ring", weights="metropolos"), list("abc"))


def test_weights_of_a_file_are_those_of_its_edges() -> None:
    graph = Graph([("a", "b", {"weight": 0.25}), ("b", "c", {"weight": 0.5})])
    schedule = build_schedule(TopologyConfig(kind="f.json", weights="file"), list("abc"), graph)
    assert schedule.row("b", 0).weights == {"b": 0.25, "a": 0.25, "c": 0.5}
    directed = DiGraph([("a", "b", {"weight": 0.25}), ("b", "a", {"weight": 1})])
    schedule = build_schedule(TopologyConfig(kind="f.json", weights="file"), list("ab"), directed)
    assert schedule.row("a", 0).weights == {"a": 0.0, "b": 1.0}


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ({}, "missing"),
        ({"weight": "x"}, "'x'"),
        ({"weight": True}, "True"),
        ({"weight": math.nan}, "nan"),
        ({"weight": math.inf}, "inf"),
        ({"weight": -0.25}, "-0.25"),
        ({"weight": 1.5}, "1.5"),
        # a whole number that no float holds
        ({"weight": 10**400}, "100000000000000000000000…"),
    ],
)
def test_an_edge_without_a_weight_from_0_to_1_is_named(weight: dict[str, object], said: str) -> None:
    graph = Graph([("a", "b", {"weight": 0.25}), ("b", "c", weight)])
    with pytest.raises(
        TopologyError, match=f"topology.weights: file .*; that of c and b is {said}$|that of b and c is {said}$"
    ):
        build_schedule(TopologyConfig(kind="f.json", weights="file"), list("abc"), graph)


def test_weights_of_a_file_above_one_together_are_refused() -> None:
    graph = Graph([("a", "b", {"weight": 0.75}), ("b", "c", {"weight": 0.5})])
    with pytest.raises(TopologyError, match=r"b weighs its neighbors 1.25 together, at most 1 was"):
        build_schedule(TopologyConfig(kind="f.json", weights="file"), list("abc"), graph)


def test_edges_of_weight_0_join_nobody_in_one_graph_or_in_several() -> None:
    names, config = list("abcd"), TopologyConfig(kind="f.json", weights="file")
    graph = Graph([("a", "b", {"weight": 0.5}), ("b", "c", {"weight": 0}), ("c", "d", {"weight": 0.5})])
    said = "topology.weights: without its edges of weight 0 the graph has 2 .*, gossip needs 1: c, d are cut off"
    with pytest.raises(TopologyError, match=said):
        build_schedule(config, names, graph)
    with pytest.raises(TopologyError, match=said):
        build_schedule(config.model_copy(update={"schedule": "graphs"}), names, (graph, graph))
    # what another edge or another graph makes up for is fine
    graph.add_edge("a", "d", weight=0.5)
    assert agreement(build_schedule(config, names, graph)).lam < 1
    day = Graph([("a", "b", {"weight": 0.5}), ("b", "c", {"weight": 0.0}), ("c", "d", {"weight": 0.5})])
    night = Graph([("a", "d", {"weight": 0.5})])
    assert agreement(build_schedule(config.model_copy(update={"schedule": "graphs"}), names, (day, night))).lam < 1


def test_nodes_that_would_only_change_places_are_refused() -> None:
    config = TopologyConfig(kind="f.json", weights="file")
    pair, triangle = Graph([("a", "b", {"weight": 1})]), Graph()
    with pytest.raises(TopologyError, match=r"every node weighs its own state 0, .*: one above 0 was expected"):
        build_schedule(config, list("ab"), pair)
    triangle.add_edges_from([("a", "b"), ("b", "c"), ("c", "a")], weight=0.5)
    assert agreement(build_schedule(config, list("abc"), triangle)).lam == pytest.approx(0.5)


def too_heavy(graph: Graph, node: str) -> dict[str, float]:
    return dict.fromkeys(graph.neighbors(node), 0.75)


def from_strangers(graph: Graph, node: str) -> dict[str, float]:
    return {peer: 0.1 for peer in graph if peer != node}


def from_nobody(_graph: Graph, _node: str) -> dict[str, float]:
    return {"nobody": 0.1}


def not_a_number(graph: Graph, node: str) -> dict[str, float]:
    return dict.fromkeys(graph.neighbors(node), math.nan)


def below_0(graph: Graph, node: str) -> dict[str, float]:
    return dict.fromkeys(graph.neighbors(node), -0.1)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("too_heavy", "its neighbors 1.5 together"),
        ("from_strangers", "c, d, whom it does not hear"),
        ("from_nobody", "nobody, whom it does not hear"),
        ("not_a_number", "b nan, a number from 0 to 1 was expected"),
        ("below_0", "b -0.1, a number from 0 to 1 was expected"),
    ],
)
def test_a_users_own_weights_are_checked(own: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    with pytest.raises(TopologyError, match=rf"topology.weights: a weighs {said}"):
        build_schedule(TopologyConfig(kind="ring", weights=f"test_weights:{own}"), list("abcde"))


def test_a_directed_row_holds_in_neighbors_and_sends_to_out_neighbors() -> None:
    graph = DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")])
    schedule = build_schedule(TopologyConfig(kind="f.yaml"), list("abc"), graph)
    row = schedule.row("c", 0)
    assert dict(row.weights) == pytest.approx({"c": 1 / 3, "a": 1 / 3, "b": 1 / 3})
    assert row.receivers == ("a",)
    assert schedule.neighbors("b") == ("a", "c")
