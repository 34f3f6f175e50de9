"""A graph that cannot carry gossip is refused in one line that names the nodes."""

import networkx as nx
import pytest

from gossipfl.config.graph_types import DiGraph, Graph, NumberedGraph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import build_graph
from gossipfl.errors import TopologyError

FILE = TopologyConfig(kind="some.gml")


def refusal(graph: Graph, names: str) -> str:
    with pytest.raises(TopologyError) as caught:
        build_graph(FILE, list(names), graph)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nodes_keep_the_order_of_the_names() -> None:
    graph = Graph([("c", "a"), ("b", "c")])
    assert list(build_graph(FILE, ["a", "b", "c"], graph)) == ["a", "b", "c"]


def test_self_loops_attributes_and_parallel_edges_are_left_out() -> None:
    graph: Graph = nx.MultiGraph([("a", "b"), ("a", "b"), ("a", "a")])
    assert set(build_graph(FILE, ["a", "b"], graph).edges) == {("a", "b")}


def test_an_empty_graph_is_refused() -> None:
    assert "no edge" in refusal(Graph(), "ab")


def test_one_node_is_no_network() -> None:
    with pytest.raises(TopologyError, match="at least 2 nodes, not 1"):
        build_graph(TopologyConfig(kind="ring"), ["a"])


def test_a_disconnected_graph_names_the_nodes_cut_off() -> None:
    said = refusal(Graph([("a", "b"), ("b", "c"), ("d", "e")]), "abcde")
    assert said == "topology: the graph has 2 components, gossip needs 1: d, e are cut off"


def test_a_node_in_no_edge_is_named() -> None:
    assert refusal(Graph([("a", "b")]), "abc") == "topology: in no edge of the graph: c"
    assert refusal(Graph([("a", "b"), ("c", "c")]), "abc") == "topology: in no edge of the graph: c"


def test_a_node_that_peers_has_not_is_named() -> None:
    assert refusal(Graph([("a", "b"), ("b", "x")]), "ab") == "topology: the graph has nodes that peers.yaml has not: x"


def test_a_directed_graph_must_lead_back() -> None:
    assert "2 strongly connected components" in refusal(DiGraph([("a", "b"), ("b", "c"), ("c", "b")]), "abc")


def test_of_many_nodes_the_first_few_are_named() -> None:
    graph = Graph([(f"n{number}", f"n{number + 1}") for number in range(40)])
    graph.add_edges_from((f"m{number}", f"m{number + 1}") for number in range(20))
    with pytest.raises(TopologyError, match=r"m0, m1, .*, m7 and 13 more are cut off"):
        build_graph(FILE, list(graph), graph)


def own_generator(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    graph: NumberedGraph = nx.path_graph(nodes)
    return graph


def one_node_too_many(nodes: int, _config: TopologyConfig) -> NumberedGraph:
    graph: NumberedGraph = nx.path_graph(nodes + 1)
    return graph


def test_a_users_own_generator_is_taken_by_its_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    made = build_graph(TopologyConfig(kind="test_graphs:own_generator"), ["a", "b", "c"])
    assert set(made.edges) == {("a", "b"), ("b", "c")}
    with pytest.raises(TopologyError, match=r"nodes that peers.yaml has not: 3"):
        build_graph(TopologyConfig(kind="test_graphs:one_node_too_many"), ["a", "b", "c"])
