"""A graph and its schedule in figures."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import shortest_path

from gossipfl.config.graph_types import Graph
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology.spectrum import agreement, is_doubly_stochastic, sparse_matrix

CHUNK = 256
DRAWN_ROUNDS = 4
"""Rounds that are looked at where no two need be alike."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be said of a schedule before anything runs.

    Attributes:
        nodes, edges: how many; a directed edge counts once.
        directed: edges have a direction.
        degree_min, degree_mean, degree_max: of neighbors heard.
        diameter: longest of the shortest ways between two nodes, in edges.
        period: rounds after which the schedule repeats; None: never.
        lam: λ of a round, of the product of a period, or the root of the expected λ².
        lam_of: which of these: round, period or expectation.
        spectral_gap: 1 − λ.
        steps: rounds until the distance from the mean is a thousandth, by λ; None when λ does not bound it.
        doubly_stochastic: mixing keeps the mean, in every round.
    """

    nodes: int
    edges: int
    directed: bool
    degree_min: int
    degree_mean: float
    degree_max: int
    diameter: int
    period: int | None
    lam: float
    lam_of: str
    spectral_gap: float
    steps: int | None
    doubly_stochastic: bool


def measure(graph: Graph, schedule: Schedule) -> Figures:
    """The figures of a schedule and its graph: a checked one it was built on, or `linked`."""
    agrees = agreement(schedule)
    degrees = [degree for _, degree in (graph.in_degree() if isinstance(graph, nx.DiGraph) else graph.degree())]
    return Figures(
        nodes=graph.number_of_nodes(),
        edges=graph.number_of_edges(),
        directed=graph.is_directed(),
        degree_min=min(degrees),
        degree_mean=sum(degrees) / len(degrees),
        degree_max=max(degrees),
        diameter=diameter(graph),
        period=schedule.period,
        lam=agrees.lam,
        lam_of=agrees.of,
        spectral_gap=1 - agrees.lam,
        steps=agrees.steps_to(1e-3),
        doubly_stochastic=all(
            is_doubly_stochastic(sparse_matrix(schedule, round)) for round in range(schedule.period or DRAWN_ROUNDS)
        ),
    )


def linked(schedule: Schedule) -> Graph:
    """Everybody with everybody it ever exchanges with, no matter in which direction."""
    graph = Graph()
    graph.add_nodes_from(schedule.nodes)
    graph.add_edges_from((node, peer) for node in schedule.nodes for peer in schedule.neighbors(node))
    return graph


def weighted(graph: Graph, schedule: Schedule) -> Graph:
    """The graph with what its edges weigh in a static schedule on it; directed where the two ends weigh differently."""
    row = {node: schedule.row(node, 0).weights for node in schedule.nodes}
    if any(row[u][v] != row[v][u] for u, v in graph.edges() if not graph.is_directed()):
        graph = graph.to_directed()
    copied = graph.copy()
    nx.set_edge_attributes(copied, {(u, v): row[v][u] for u, v in graph.edges()}, "weight")
    return copied


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
