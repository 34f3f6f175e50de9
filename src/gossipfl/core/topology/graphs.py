"""The graph of an experiment: generated or given, on the names of peers.yaml, and fit to carry gossip."""

from collections.abc import Collection, Iterable, Sequence

import networkx as nx

from gossipfl.config.graph_types import DiGraph, Given, Graph, NumberedGraph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.tables import resolve
from gossipfl.core.topology.generators import GENERATORS
from gossipfl.errors import TopologyError

SHOWN_NAMES = 8


def build_graph(config: TopologyConfig, names: Sequence[str], graph: Given = None) -> Graph:
    """The graph on `names`, checked, its nodes in their order.

    Args:
        names: every node, in the order of peers.yaml.
        graph: read from a file; without it `config.kind` is generated. Attributes but weights, parallel edges and
            self-loops are left out; u → v of a directed graph means that u sends to v.

    Raises:
        ConfigError: nobody knows the kind.
        TopologyError: the graph cannot carry gossip; one line.
    """
    check_count(names)
    if isinstance(graph, tuple):
        raise TopologyError(
            f"topology.kind: {config.kind} holds {len(graph)} graphs, which topology.schedule graphs goes through; "
            f"{config.schedule} takes one"
        )
    if graph is None:
        generate = resolve(GENERATORS, config.kind, field="topology.kind")
        graph = _on_names(generate(len(names), config), names)
    plain = plain_graph(graph, names)
    check_graph(plain, names)
    return plain


def check_count(names: Collection[str]) -> None:
    """Raises `TopologyError` for fewer than two nodes."""
    if len(names) < 2:
        raise TopologyError(f"nodes: gossip needs at least 2 nodes, not {len(names)}")


def check_graph(graph: Graph, names: Collection[str]) -> None:
    """Raises `TopologyError` unless the graph joins all of `names`, and only them."""
    if graph.number_of_edges() == 0:
        raise TopologyError("topology: the graph has no edge, gossip needs at least one")
    known = set(names)
    strangers = [node for node in graph if node not in known]
    if strangers:
        raise TopologyError(f"topology: the graph has nodes that peers.yaml has not: {listed(strangers)}")
    lonely = [name for name in names if graph.degree(name) == 0]
    if lonely:
        raise TopologyError(f"topology: in no edge of the graph: {listed(lonely)}")
    check_connected(graph, names)


def listed(names: Iterable[object]) -> str:
    """Names with commas; of many, the first few and how many more."""
    every = [str(name) for name in names]
    more = len(every) - SHOWN_NAMES
    return ", ".join(every[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _on_names(numbered: NumberedGraph, names: Sequence[str]) -> Graph:
    named = DiGraph() if numbered.is_directed() else Graph()
    called = dict(enumerate(names))
    # a user's own generator may number wrongly: such a node is found later as a stranger
    named.add_nodes_from(called.get(node, str(node)) for node in numbered)
    named.add_edges_from((called.get(u, str(u)), called.get(v, str(v))) for u, v in numbered.edges())
    return named


def plain_graph(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with all of `names` in their order, then its other nodes, without what `build_graph` leaves out."""
    plain: Graph = DiGraph() if graph.is_directed() else Graph()
    plain.add_nodes_from(names)
    plain.add_nodes_from(graph)
    plain.add_edges_from(edge for edge in graph.edges(data=True) if edge[0] != edge[1])
    return plain


def check_connected(graph: Graph, names: Collection[str], *, where: str = "topology: the graph") -> None:
    """Raises `TopologyError`, which begins with `where`, unless each of `names` can reach every other."""
    parts = list(
        nx.strongly_connected_components(graph) if isinstance(graph, nx.DiGraph) else nx.connected_components(graph)
    )
    if len(parts) == 1:
        return
    largest = max(parts, key=len)
    cut_off = [name for name in names if name not in largest]
    kind = "strongly connected components" if graph.is_directed() else "components"
    raise TopologyError(f"{where} has {len(parts)} {kind}, gossip needs 1: {listed(cut_off)} are cut off")
