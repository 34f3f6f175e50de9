"""Graphs from files; the ending decides the format, the nodes are the names of peers.yaml.

.graphml   .gml            as networkx and drawing programs write them; GraphML's ids, GML's labels are the names
.edgelist  .edges          a line `a b`: an edge
.adjlist                   a line `a b c`: a's neighbors, each edge at one of its ends or at both
.json                      networkx's node-link form
.yaml      .yml            `edges: [[a, b], …]`, optional `nodes: […]` and `directed: true`

Several graphs, for `topology.schedule: graphs`: .json as a list of such forms, .yaml as `graphs: [{edges: …}, …]`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import networkx as nx

from gossipfl.config.graph_types import DiGraph, Given, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.config.yaml_text import parse_mapping, read_text
from gossipfl.errors import ConfigError, TopologyError

Read = Callable[[str, Path], Graph | list[Graph]]
"""Text of a file, and its path for errors, to its graph or graphs."""


def is_graph_file(kind: str) -> bool:
    """Whether a `topology.kind` means a file, by its ending or a slash in it."""
    return "/" in kind or Path(kind).suffix.lower() in READERS


def graph_for(topology: TopologyConfig, folder: Path) -> Given:
    """The graph file that `topology.kind` names, read; None for a generator's name.

    Args:
        folder: what a relative path refers to.
    """
    if not is_graph_file(topology.kind):
        return None
    graphs = read_graphs(folder / topology.kind)
    return graphs if len(graphs) > 1 else graphs[0]


def read_graphs(path: Path) -> tuple[Graph, ...]:
    """The graphs in a file, at least one: nodes are strings in the file's order, no parallel edges.

    Of attributes edges keep `weight`, for `topology.weights: file`.

    Raises:
        ConfigError: the file cannot be read or is no YAML.
        TopologyError: its ending is unknown, its content is not of that format, or a graph has no edge.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise TopologyError(f"{path}: no graph format ends in {path.suffix!r}, known: {', '.join(READERS)}")
    text = read_text(path)
    try:
        found = read(text, path)
        graphs = tuple(map(_named, found if isinstance(found, list) else [found]))
    # what networkx's readers raise for content that is not theirs
    except (
        nx.NetworkXException,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        SyntaxError,
        RecursionError,
    ) as error:
        kind = path.suffix.lower().removeprefix(".")
        raise TopologyError(
            f"{path} is no {kind} graph: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None
    if not all(graph.number_of_edges() for graph in graphs):
        raise TopologyError(f"{path}: the graph has no edge, gossip needs at least one")
    return graphs


def write_graph(graph: Graph, path: Path) -> None:
    """Writes a graph as node-link JSON, weights with every digit.

    Raises:
        ConfigError: the file is not called .json, or cannot be written.
    """
    if path.suffix.lower() != ".json":
        raise ConfigError(f"{path}: a graph is written as node-link JSON, the name has to end in .json")
    try:
        path.write_text(json.dumps(nx.node_link_data(graph, edges="edges"), indent=1) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _read_graphml(text: str, _path: Path) -> Graph:
    graph: Graph = nx.parse_graphml(text)
    return graph


def _read_gml(text: str, _path: Path) -> Graph:
    # "id" numbers every node, "label" is what people name it by
    graph: Graph = nx.parse_gml(text, label="label" if re.search(r"\blabel\b", text) else "id")
    return graph


def _read_edges(text: str, path: Path) -> Graph:
    graph = Graph()
    for number, names in _lines(text):
        # what follows two names are attributes
        if len(names) < 2:
            raise TopologyError(f"{path}, line {number}: {names[0]!r} alone, an edge is two names")
        graph.add_edge(names[0], names[1])
    return graph


def _read_adjacency(text: str, _path: Path) -> Graph:
    graph = Graph()
    for _, (node, *neighbors) in _lines(text):
        graph.add_node(node)
        graph.add_edges_from((node, neighbor) for neighbor in neighbors)
    return graph


def _read_node_links(text: str, _path: Path) -> list[Graph]:
    data = json.loads(text)
    return [_node_link(one) for one in (_filled(data, "graphs") if isinstance(data, list) else [data])]


def _node_link(data: object) -> Graph:
    if not isinstance(data, dict):
        raise TypeError("an object with nodes and edges was expected")
    edges = "links" if "links" in data else "edges"
    for key in ("nodes", edges):
        if not isinstance(data.get(key), list):
            raise TypeError(f"{key}: a list was expected")
    # parallel edges are kept for the time being: they may contradict each other
    data = {**data, "directed": _directed(data), "multigraph": True}
    graph: Graph = nx.node_link_graph(data, edges=edges)
    return graph


def _read_yaml(text: str, path: Path) -> list[Graph]:
    data = parse_mapping(text, source=str(path))
    if set(data) == {"graphs"}:
        return [_yaml_graph(one) for one in _filled(data["graphs"], "graphs")]
    return [_yaml_graph(data)]


def _yaml_graph(data: object) -> Graph:
    if not isinstance(data, dict):
        raise TypeError("an object with nodes and edges was expected")
    strange = sorted(set(data) - {"nodes", "edges", "directed"})
    if strange:
        raise ValueError(f"unknown key {strange[0]!r}, known: nodes, edges, directed")
    graph = DiGraph() if _directed(data) else Graph()
    graph.add_nodes_from(_strings(data.get("nodes", []), "nodes"))
    edges = data.get("edges")
    if not isinstance(edges, list):
        raise TypeError("edges: a list of pairs was expected")
    for place, pair in enumerate(edges):
        names = _strings(pair, f"edges[{place}]")
        if len(names) != 2:
            raise ValueError(f"edges[{place}]: {pair!r}, a pair of names was expected")
        graph.add_edge(*names)
    return graph


READERS: Mapping[str, Read] = {
    ".graphml": _read_graphml,
    ".gml": _read_gml,
    ".edgelist": _read_edges,
    ".edges": _read_edges,
    ".adjlist": _read_adjacency,
    ".json": _read_node_links,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
}
"""By the file's ending."""


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that is not empty or a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if words:
            yield number, words


def _directed(data: Mapping[str, object]) -> bool:
    directed = data.get("directed", False)
    if not isinstance(directed, bool):
        raise TypeError(f"directed: {directed!r}, true or false was expected")
    return directed


def _filled(value: object, field: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"{field}: a list of graphs was expected")
    return value


def _strings(value: object, field: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{field}: {value!r}, a list of names was expected (write yes, no and numbers in quotes)")
    return value


def _named(graph: Graph) -> Graph:
    """Strings as nodes, nothing but nodes and edges, and weights of these."""
    named = DiGraph() if graph.is_directed() else Graph()
    for node in graph:
        if str(node) in named:
            raise ValueError(f"nodes: {str(node)!r} is there as text and as a number")
        named.add_node(str(node))
    for sender, receiver, found in graph.edges(data=True):
        u, v = str(sender), str(receiver)
        weight = {"weight": found["weight"]} if "weight" in found else {}
        if named.has_edge(u, v) and named.edges[u, v] != weight:
            said = [edge.get("weight", "none") for edge in (named.edges[u, v], weight)]
            raise ValueError(f"edges: {u}, {v} is there twice, with weight {said[0]} and {said[1]}")
        named.add_edge(u, v, **weight)
    return named
