"""Graphs from files in every format; a file that is none is one line."""

import json
from pathlib import Path

import networkx as nx
import pytest

from gossipfl.config.graph_files import READERS, graph_for, is_graph_file, read_graphs
from gossipfl.config.graph_types import Graph
from gossipfl.config.loading import load_peers
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import GENERATORS, build_schedule
from gossipfl.errors import ConfigError, TopologyError

EXAMPLES = Path(__file__).parents[2] / "topologies"


def only(path: Path) -> Graph:
    (graph,) = read_graphs(path)
    return graph


EDGES = {frozenset(pair) for pair in ("nl", "sl", "el", "ns", "se")}
"""By first letters: three hospitals and a lab."""


@pytest.mark.parametrize("ending", ["graphml", "gml", "edgelist", "adjlist", "json", "yaml"])
def test_the_example_of_every_format_is_the_same_graph(ending: str) -> None:
    graph = only(EXAMPLES / f"hospitals.{ending}")
    assert set(graph) == {"north", "south", "east", "lab"}
    assert {frozenset((u[0], v[0])) for u, v in graph.edges} == EDGES


def test_the_directed_example_is_directed() -> None:
    assert only(EXAMPLES / "relay.yaml").is_directed()


def test_the_example_peers_file_names_a_graph_that_fits() -> None:
    loaded = load_peers(EXAMPLES / "peers.example.yaml")
    topology = loaded.experiment.experiment.topology
    schedule = build_schedule(topology, loaded.names, graph_for(topology, loaded.experiment.topology_folder))
    assert schedule.neighbors("lab") == ("east", "north", "south")


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        ("graphml", nx.write_graphml),
        ("gml", nx.write_gml),
        ("edgelist", nx.write_edgelist),
        ("adjlist", nx.write_adjlist),
    ],
)
def test_what_networkx_writes_is_read(ending: str, write: object, tmp_path: Path) -> None:
    graph = nx.relabel_nodes(nx.petersen_graph(), lambda node: f"n{node}")
    path = tmp_path / f"graph.{ending}"
    assert callable(write)
    write(graph, path)
    read = only(path)
    assert {frozenset(edge) for edge in read.edges} == {frozenset(edge) for edge in graph.edges}


def test_a_generators_name_is_no_file_and_a_file_is() -> None:
    assert not any(is_graph_file(kind) for kind in GENERATORS)
    assert not is_graph_file("my.package:generator")
    assert all(is_graph_file(f"x{ending}") for ending in READERS)
    assert is_graph_file("folder/x.foo")
    assert graph_for(TopologyConfig(kind="ring"), Path()) is None


BAD = {
    "cut.graphml": ("<graphml><graph>", "is no graphml graph"),
    "other.graphml": ("<html></html>", "is no graphml graph"),
    "cut.gml": ("graph [ node [ id 0", "is no gml graph"),
    "text.gml": ("hello", "is no gml graph"),
    "cut.json": ('{"nodes": [', "is no json graph"),
    "list.json": ("[1, 2]", "is no json graph: an object with nodes and edges"),
    "other.json": ('{"nodes": 3}', "is no json graph"),
    "noid.json": ('{"nodes": [{}], "edges": [{"source": 1}]}', "is no json graph"),
    "deep.json": ("[" * 100_000, "is no json graph"),
    "alone.edgelist": ("a b\n# fine\nc\n", "line 3: 'c' alone, an edge is two names"),
    "none.edgelist": ("# nothing\n", "the graph has no edge"),
    "none.adjlist": ("a\nb\n", "the graph has no edge"),
    "empty.yaml": ("", "is empty"),
    "key.yaml": ("edgs: []", "unknown key 'edgs'"),
    "none.yaml": ("nodes: [a, b]", "edges: a list of pairs was expected"),
    "three.yaml": ("edges: [[a, b, c]]", r"edges\[0\]: \['a', 'b', 'c'\], a pair of names"),
    "norway.yaml": ("edges: [[se, no]]", r"edges\[0\]: .*in quotes"),
    "zero.yaml": ("edges: []", "the graph has no edge"),
    "graphs.yaml": ("graphs: []", "graphs: a list of graphs was expected"),
    "in.yaml": ("graphs: [{edges: [[a, b]]}, {edges: []}]", "the graph has no edge"),
    "graph.yaml": ("graphs: [[a, b]]", "an object with nodes and edges"),
    "directed.yaml": ("directed: 'true'\nedges: [[a, b]]", "directed: 'true', true or false was expected"),
    "directed.json": ('{"directed": "no", "nodes": [], "edges": []}', "directed: 'no', true or false was expected"),
    "nodes.json": ('{"nodes": null, "edges": []}', "nodes: a list was expected"),
    "links.json": ('{"nodes": [], "links": {"source": 1}}', "links: a list was expected"),
    "same.json": ('{"nodes": [{"id": 1}, {"id": "1"}], "edges": []}', "nodes: '1' is there as text and as a number"),
    "empty.json": ("[]", "graphs: a list of graphs was expected"),
    "x.docx": ("a b", "no graph format ends in '.docx'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_graph_is_one_line(name: str, tmp_path: Path) -> None:
    text, said = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises((TopologyError, ConfigError), match=said) as caught:
        only(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope.gml: no such file"):
        only(tmp_path / "nope.gml")


def test_numbers_become_names(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text('{"nodes": [{"id": 1}, {"id": 2}], "links": [{"source": 1, "target": 2}]}')
    assert list(only(path).edges) == [("1", "2")]


def test_json_and_yaml_hold_several_graphs(tmp_path: Path) -> None:
    links = [{"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]}] * 2
    (tmp_path / "two.json").write_text(json.dumps(links))
    assert [list(graph.edges) for graph in read_graphs(tmp_path / "two.json")] == [[("a", "b")]] * 2
    assert [len(graph.edges) for graph in read_graphs(EXAMPLES / "two_shifts.yaml")] == [3, 2]


def test_of_attributes_an_edge_keeps_its_weight(tmp_path: Path) -> None:
    graph = Graph()
    graph.add_edge("a", "b", weight=0.25, color="red")
    nx.write_graphml(graph, tmp_path / "heavy.graphml")
    assert list(only(tmp_path / "heavy.graphml").edges(data=True)) == [("a", "b", {"weight": 0.25})]


@pytest.mark.parametrize("form", [{}, {"multigraph": False}, {"multigraph": True}, {"directed": True}])
def test_an_edge_that_is_there_twice_has_one_weight(form: dict[str, bool], tmp_path: Path) -> None:
    edges: list[dict[str, object]] = [{"source": "a", "target": "b", "weight": weight} for weight in (0.25, 0.5)]
    if "directed" not in form:
        edges[1] |= {"source": "b", "target": "a"}
    content = {"nodes": [{"id": "a"}, {"id": "b"}], "edges": edges, **form}
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TopologyError, match=r"edges: ., . is there twice, with weight 0.25 and 0.5"):
        only(path)
    edges[1]["weight"] = 0.25
    path.write_text(json.dumps(content))
    assert list(only(path).edges(data=True)) == [("a", "b", {"weight": 0.25})]


def test_gml_without_labels_is_named_by_ids(tmp_path: Path) -> None:
    path = tmp_path / "plain.gml"
    path.write_text("graph [\n node [ id 1 ]\n node [ id 2 ]\n edge [ source 1 target 2 ]\n]\n")
    assert list(only(path).edges) == [("1", "2")]
