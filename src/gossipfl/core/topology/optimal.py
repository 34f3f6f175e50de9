"""optimal: the weights that agree fastest on a graph, by convex optimization.

    minimize ‖W − 11ᵀ/n‖₂   over   W = Wᵀ,  W1 = 1,  W ≥ 0,  W_ij = 0 where i and j are not linked

It is the fastest mixing Markov chain: the weights of Xiao & Boyd's fastest linear averaging, none below 0, so that
states stay in the hull. What is known: a path of n has λ = cos(π/n), a ring (1+c)/(3−c) with c = cos(2π/n), a star
(n−2)/(n−1), a hypercube of d dimensions (d−1)/(d+1).

What a solver finds differs in its last digits between machines. Weights are therefore rounded down to multiples of
2⁻²⁰; where rounding itself tips differently the handshake refuses, and a file with the weights in it settles it.

Sources: Xiao & Boyd (2004), Fast linear iterations for distributed averaging; Boyd, Diaconis & Xiao (2004).
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from gossipfl.config.graph_types import Graph
from gossipfl.errors import TopologyError

GRID = 2.0**-20
BELOW = GRID / 8
"""Taken off before: a weight that lies on the grid, as many do, is on one side of it on every machine."""
LARGEST = 80
"""Nodes: 28 CPU-seconds and 1.3 GB, which grow with the fifth power of them."""

Edge = tuple[int, int]
Weights = NDArray[np.float64]


def optimal(graph: Graph, node: str) -> Mapping[str, float]:
    """The fastest weights on a connected undirected graph; never slower than Metropolis'.

    Raises:
        TopologyError: the graph is directed, not connected or too large, or the solver is not installed.
    """
    return _all_weights(tuple(graph), tuple(graph.edges()), graph.is_directed())[node]


@lru_cache(maxsize=8)
def _all_weights(
    nodes: tuple[str, ...],
    edges: tuple[tuple[str, str], ...],
    directed: bool,  # noqa: FBT001  # a key of the cache
) -> Mapping[str, Mapping[str, float]]:
    """By node, by neighbor."""
    graph = nx.Graph(edges)
    if directed or len(graph) < len(nodes) or not nx.is_connected(graph):
        raise TopologyError("topology.weights: optimal needs an undirected connected graph")
    if len(nodes) > LARGEST:
        raise TopologyError(
            f"topology.weights: optimal is for {LARGEST} nodes at most, not {len(nodes)}: take metropolis"
        )
    place = {node: number for number, node in enumerate(nodes)}
    # in an order that no file decides: the solver's last digits depend on it
    numbered = sorted((min(place[u], place[v]), max(place[u], place[v])) for u, v in edges)
    weights: dict[str, dict[str, float]] = {node: {} for node in nodes}
    for (i, j), weight in zip(numbered, _fastest(numbered, len(nodes)).tolist(), strict=True):
        weights[nodes[i]][nodes[j]] = weights[nodes[j]][nodes[i]] = weight
    return weights


def _fastest(edges: Sequence[Edge], nodes: int) -> Weights:
    """By edge, on the grid: the solver's, or Metropolis' where it does no better."""
    degrees = np.bincount(np.array(edges).ravel(), minlength=nodes)
    metropolis = np.array([1 / (1 + max(degrees[i], degrees[j])) for i, j in edges])
    solved = np.floor((np.clip(_solve(edges, nodes), BELOW, 1) - BELOW) / GRID) * GRID
    return min(metropolis, solved, key=lambda weights: _lambda(weights, edges, nodes))


def _lambda(weights: Weights, edges: Sequence[Edge], nodes: int) -> float:
    incidence = _incidence(edges, nodes)
    W = np.eye(nodes) - incidence @ np.diag(weights) @ incidence.T
    return float(np.abs(np.linalg.eigvalsh(W - 1 / nodes)).max())


def _incidence(edges: Sequence[Edge], nodes: int) -> Weights:
    """(nodes, edges): +1 and −1 at the ends of each edge, so that W = I − B diag(w) Bᵀ."""
    incidence = np.zeros((nodes, len(edges)))
    for number, (i, j) in enumerate(edges):
        incidence[i, number], incidence[j, number] = 1.0, -1.0
    return incidence


def _solve(edges: Sequence[Edge], nodes: int) -> Weights:
    cvxpy = _solver()
    incidence = _incidence(edges, nodes)
    weights, bound = cvxpy.Variable(len(edges), nonneg=True), cvxpy.Variable()
    identity, mean = np.eye(nodes), np.full((nodes, nodes), 1 / nodes)
    W = identity - incidence @ cvxpy.diag(weights) @ incidence.T
    bounded = [bound * identity >> W - mean, W - mean >> -bound * identity]
    problem = cvxpy.Problem(cvxpy.Minimize(bound), [*bounded, np.abs(incidence) @ weights <= 1])
    with warnings.catch_warnings():
        # that it may be inaccurate: λ is computed from what came out, and Metropolis stands in where that is no better
        warnings.simplefilter("ignore", UserWarning)
        problem.solve(solver=cvxpy.CLARABEL)
    if weights.value is None:
        raise TopologyError(f"topology.weights: the solver found no optimal ones ({problem.status}): take metropolis")
    return np.asarray(weights.value, np.float64)


def _solver() -> Any:  # noqa: ANN401  # a module without types, perhaps not there
    try:
        import cvxpy  # noqa: PLC0415  # an extra of its own, and slow to import
    except ImportError:
        raise TopologyError(
            "topology.weights: optimal needs a convex solver: pip install 'gossipfl[optimal]', or read weights that "
            "were computed elsewhere from a graph file with topology.weights file"
        ) from None
    return cvxpy
