"""Every generator makes the graph its name promises, or says why it cannot."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.graph_types import NumberedGraph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import GENERATORS, build_graph
from gossipfl.errors import ConfigError, TopologyError


def make(kind: str, nodes: int, **fields: object) -> NumberedGraph:
    return GENERATORS[kind](nodes, TopologyConfig.model_validate({"kind": kind, **fields}))


def degrees(graph: NumberedGraph) -> set[int]:
    return {degree for _, degree in graph.degree()}


def test_every_generator_of_the_issue_is_there() -> None:
    assert set(GENERATORS) == {
        *("ring", "path", "complete", "star", "grid", "torus", "hypercube"),
        *("erdos_renyi", "watts_strogatz", "barabasi_albert", "random_regular", "exponential"),
    }


@pytest.mark.parametrize("kind", sorted(GENERATORS))
@pytest.mark.parametrize("nodes", [4, 16, 64])
def test_every_generator_joins_all_nodes(kind: str, nodes: int) -> None:
    graph = make(kind, nodes)
    assert set(graph) == set(range(nodes))
    assert nx.is_strongly_connected(graph) if isinstance(graph, nx.DiGraph) else nx.is_connected(graph)


@settings(deadline=None, max_examples=40)
@given(kind=st.sampled_from(sorted(GENERATORS)), nodes=st.integers(2, 40), seed=st.integers(0, 2**63))
def test_equal_settings_make_equal_graphs_or_equal_errors(kind: str, nodes: int, seed: int) -> None:
    once, again = outcome(kind, nodes, seed), outcome(kind, nodes, seed)
    assert once == again
    assert "\n" not in once


def outcome(kind: str, nodes: int, seed: int) -> str:
    """The graph as text, or the line that says why there is none."""
    try:
        graph = make(kind, nodes, seed=seed)
    except TopologyError as error:
        return str(error)
    assert len(graph) == nodes
    return str(sorted(graph.edges))


def test_another_seed_makes_another_random_graph() -> None:
    assert set(make("erdos_renyi", 30, seed=1).edges) != set(make("erdos_renyi", 30, seed=2).edges)


def test_degrees_are_those_of_the_kind() -> None:
    assert degrees(make("ring", 9)) == {2}
    assert degrees(make("complete", 9)) == {8}
    assert degrees(make("torus", 16)) == {4}
    assert degrees(make("hypercube", 32)) == {5}
    assert degrees(make("random_regular", 20, degree=5)) == {5}
    assert make("star", 9).degree(0) == 8
    assert degrees(make("exponential", 16)) == {8}


def test_a_grid_is_as_square_as_the_number_allows_unless_its_shape_is_given() -> None:
    assert nx.is_isomorphic(make("grid", 12), nx.grid_2d_graph(3, 4))
    assert nx.is_isomorphic(make("grid", 12, shape=[2, 6]), nx.grid_2d_graph(2, 6))


def test_the_exponential_graph_hears_from_powers_of_two_ahead() -> None:
    graph = make("exponential", 10)
    assert isinstance(graph, nx.DiGraph)
    assert set(graph.predecessors(3)) == {4, 5, 7, 1}
    hops = make("exponential", 10, degree=2)
    assert isinstance(hops, nx.DiGraph)
    assert set(hops.predecessors(3)) == {4, 5}


@pytest.mark.parametrize(
    ("kind", "nodes", "fields", "said"),
    [
        ("hypercube", 6, {}, "power of two nodes, not 6"),
        ("torus", 7, {}, "7 nodes make one row only"),
        ("grid", 12, {"shape": [5, 2]}, r"topology.shape: \[5, 2\]"),
        ("grid", 12, {"shape": [12]}, r"topology.shape: \[12\]"),
        ("random_regular", 7, {"degree": 3}, "topology.degree: random_regular on 7 nodes"),
        ("random_regular", 4, {"degree": 4}, "topology.degree: random_regular on 4 nodes"),
        ("watts_strogatz", 10, {"degree": 3}, "an even number below 10, not 3"),
        ("watts_strogatz", 4, {"degree": 4}, "an even number below 4, not 4"),
        ("barabasi_albert", 4, {"degree": 4}, "a number below 4, not 4"),
        ("exponential", 8, {"degree": 4}, "8 nodes has 3 hops, not 4"),
        ("erdos_renyi", 20, {"probability": 0.001}, "raise topology.probability"),
    ],
)
def test_what_a_generator_cannot_make_is_one_line(kind: str, nodes: int, fields: dict[str, object], said: str) -> None:
    with pytest.raises(TopologyError, match=said):
        make(kind, nodes, **fields)


def test_an_unknown_kind_names_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError, match=r"topology.kind: 'rign' is unknown; did you mean 'ring'\? known: barabasi"):
        build_graph(TopologyConfig(kind="rign"), ["a", "b"])
