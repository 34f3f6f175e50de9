"""What a node's neighbors count for: one row of the mixing matrix.

metropolis   W_ij = 1 / (1 + max(d_i, d_j))    symmetric, doubly stochastic      Xiao, Boyd & Lall (2006)
uniform      W_ij = 1 / (1 + d_i)              doubly stochastic on regular graphs only
optimal      the smallest λ there is           symmetric, doubly stochastic      core.topology.optimal
file         `weight` of the graph file's edges, of u → v what v gives u; as it is given
"""

from collections.abc import Callable, Iterable, Mapping

import networkx as nx

from gossipfl.config.graph_types import Graph
from gossipfl.core.topology.optimal import optimal
from gossipfl.errors import TopologyError

SHOWN_DIGITS = 24

Weigh = Callable[[Graph, str], Mapping[str, float]]
"""Graph and node to the weight of each node it receives from; together at most 1, the rest is its own."""


def senders(graph: Graph, node: str) -> Iterable[str]:
    """Whom the node receives from: neighbors, or in-neighbors of a directed graph."""
    return graph.predecessors(node) if isinstance(graph, nx.DiGraph) else graph.neighbors(node)


def metropolis(graph: Graph, node: str) -> Mapping[str, float]:
    """Metropolis–Hastings; keeps the mean on any undirected graph."""
    if graph.is_directed():
        raise TopologyError("topology.weights: metropolis needs an undirected graph; take uniform for a directed one")
    own = graph.degree(node)
    return {peer: 1 / (1 + max(own, graph.degree(peer))) for peer in graph.neighbors(node)}


def uniform(graph: Graph, node: str) -> Mapping[str, float]:
    """Everybody heard and oneself alike; keeps the mean only where all nodes hear and are heard equally often."""
    peers = list(senders(graph, node))
    return {peer: 1 / (1 + len(peers)) for peer in peers}


def auto(graph: Graph, node: str) -> Mapping[str, float]:
    """Metropolis on an undirected graph, uniform on a directed one."""
    return uniform(graph, node) if graph.is_directed() else metropolis(graph, node)


def from_file(graph: Graph, node: str) -> Mapping[str, float]:
    """What stands in the file: symmetric where it is undirected."""
    return {peer: _written(graph, peer, node) for peer in senders(graph, node)}


def _written(graph: Graph, sender: str, receiver: str) -> float:
    weight = graph.edges[sender, receiver].get("weight")
    # not finite: JSON knows Infinity and NaN; a whole number of JSON may have more digits than a float
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise TopologyError(
            f"topology.weights: file wants the attribute weight, a number from 0 to 1, of every edge of a graph file; "
            f"that of {sender} and {receiver} is {'missing' if weight is None else _short(weight)}"
        )
    return float(weight)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_DIGITS else f"{text[:SHOWN_DIGITS]}…"


WEIGHTS: Mapping[str, Weigh] = {
    "auto": auto,
    "metropolis": metropolis,
    "uniform": uniform,
    "optimal": optimal,
    "file": from_file,
}
"""By configuration name."""
