"""A graph and its schedule in figures."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import shortest_path

from gossipfl.config.graph_types import Graph
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology.spectrum import is_doubly_stochastic, second_eigenvalue, sparse_matrix, steps_to

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be said of a schedule before anything runs.

    Attributes:
        nodes, edges: how many; a directed edge counts once.
        directed: edges have a direction.
        degree_min, degree_mean, degree_max: of neighbors heard.
        diameter: longest of the shortest ways between two nodes, in edges.
        lam: λ of round 0.
        spectral_gap: 1 − λ.
        steps: rounds until the distance from the mean is a thousandth, by λ; None when λ does not bound it.
        doubly_stochastic: mixing keeps the mean.
    """

    nodes: int
    edges: int
    directed: bool
    degree_min: int
    degree_mean: float
    degree_max: int
    diameter: int
    lam: float
    spectral_gap: float
    steps: int | None
    doubly_stochastic: bool


def measure(graph: Graph, schedule: Schedule) -> Figures:
    """The figures of a checked graph and the schedule built on it."""
    W = sparse_matrix(schedule)
    lam = second_eigenvalue(W)
    degrees = [degree for _, degree in (graph.in_degree() if isinstance(graph, nx.DiGraph) else graph.degree())]
    return Figures(
        nodes=graph.number_of_nodes(),
        edges=graph.number_of_edges(),
        directed=graph.is_directed(),
        degree_min=min(degrees),
        degree_mean=sum(degrees) / len(degrees),
        degree_max=max(degrees),
        diameter=diameter(graph),
        lam=lam,
        spectral_gap=1 - lam,
        steps=steps_to(lam, 1e-3),
        doubly_stochastic=is_doubly_stochastic(W),
    )


def diameter(graph: Graph) -> int:
    """Longest shortest path of a connected graph; a few hundred sources at a time, so that memory stays small."""
    adjacency = sparse.csr_array(nx.to_scipy_sparse_array(graph, format="csr"))
    sources = np.arange(adjacency.shape[0])
    longest = 0.0
    for first in range(0, len(sources), CHUNK):
        some = sources[first : first + CHUNK]
        ways = shortest_path(adjacency, method="D", directed=True, unweighted=True, indices=some)
        longest = max(longest, float(ways.max()))
    return int(longest)
