"""What a node's neighbors count for: one row of the mixing matrix, from local knowledge.

metropolis   W_ij = 1 / (1 + max(d_i, d_j))    symmetric, doubly stochastic      Xiao, Boyd & Lall (2006)
uniform      W_ij = 1 / (1 + d_i)              doubly stochastic on regular graphs only
"""

from collections.abc import Callable, Iterable, Mapping

import networkx as nx

from gossipfl.config.graph_types import Graph
from gossipfl.errors import TopologyError

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


WEIGHTS: Mapping[str, Weigh] = {"auto": auto, "metropolis": metropolis, "uniform": uniform}
"""By configuration name."""
