"""How fast a schedule agrees: λ = ‖W − 11ᵀ/n‖₂, and Σ‖x_i − x̄‖² shrinks by λ² a round at least.

For a doubly stochastic W the square of λ is the second largest eigenvalue of S = WᵀW (of W itself up to sign when W is
symmetric), so a sparse solver needs neither the dense matrix nor W − 11ᵀ/n.

Of a schedule that repeats after τ rounds it is the λ of W_τ···W_1; of one that draws its rounds λ² is the expectation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from gossipfl.core.protocol import Schedule
from gossipfl.errors import TopologyError

Float64Matrix = NDArray[np.float64]
LARGEST_DENSE = 2000
ROUNDING = 1e-9
EXACT = 1e-12
"""A smaller λ is that of an exact average."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How fast a schedule agrees.

    Attributes:
        lam: λ, 0 for an exact average; Σ‖x_i − x̄‖² shrinks by λ² in so many rounds at least, or on average.
        rounds: the rounds that λ stands for.
        of: what λ was taken of: the matrix of every round, the product of a period, or an expectation.
    """

    lam: float
    rounds: int
    of: Literal["round", "period", "expectation"]

    def steps_to(self, tolerance: float = 1e-3) -> int | None:
        """Rounds until the distance from the mean is at most `tolerance` of what it was; None: λ bounds nothing."""
        steps = steps_to(self.lam, tolerance)
        return None if steps is None else steps * self.rounds


def agreement(schedule: Schedule) -> Agreement:
    """How fast a schedule agrees.

    Raises:
        TopologyError: a user's own schedule that never repeats and gives no contraction, or a graph too large for
            weights that are not doubly stochastic.
    """
    period = schedule.period
    if period is None:
        if schedule.contraction is None:
            raise TopologyError("topology.schedule: a schedule without period has to give its contraction")
        return Agreement(math.sqrt(schedule.contraction), 1, "expectation")
    lam = second_eigenvalue(*(sparse_matrix(schedule, round) for round in range(period)))
    return Agreement(0.0 if lam < EXACT else lam, period, "round" if period == 1 else "period")


def is_exact(schedule: Schedule) -> bool:
    """Whether the rounds of a period give every node the mean, while nobody is missed."""
    if schedule.period is None:
        return False
    # of almost every vector, so that one drawn at random tells, without the product of the matrices
    start = np.random.default_rng(0).standard_normal(len(schedule.nodes))
    rounds = (sparse_matrix(schedule, round) for round in range(schedule.period))
    mixed = reduce(lambda x, W: W @ x, rounds, start)
    return bool(np.abs(mixed - start.mean()).max() <= ROUNDING)


def sparse_matrix(schedule: Schedule, round: int = 0) -> sparse.csr_array:
    """The mixing matrix of a round, (n, n) float64: row i holds what node i's contributions count for."""
    place = {node: number for number, node in enumerate(schedule.nodes)}
    rows = [schedule.row(node, round).weights for node in schedule.nodes]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([place[peer] for row in rows for peer in row])
    values = np.array([weight for row in rows for weight in row.values()], np.float64)
    return sparse.csr_array((values, columns, starts), shape=(len(place), len(place)))


def mixing_matrix(schedule: Schedule, round: int = 0) -> Float64Matrix:
    """As `sparse_matrix`, dense: for a few thousand nodes at most."""
    return np.asarray(sparse_matrix(schedule, round).toarray())


def second_eigenvalue(W: Float64Matrix | sparse.csr_array, *later: Float64Matrix | sparse.csr_array) -> float:
    """λ = ‖W − 11ᵀ/n‖₂: 0 agrees in one round, 1 never; above 1 for some W that are not doubly stochastic.

    Args:
        later: matrices of the rounds after it; λ is then that of the product of all.
    """
    nodes = W.shape[0]
    if nodes <= LARGEST_DENSE:
        dense = np.asarray(W if isinstance(W, np.ndarray) else W.toarray())
        return _dense_norm(reduce(lambda product, V: np.asarray(V @ product), later, dense) - 1 / nodes)
    return _sparse_norm(*(sparse.csr_array(V) for V in (W, *later)))


def algebraic_connectivity(edges: Sequence[tuple[int, int]], nodes: int) -> float:
    """λ₂ of the Laplacian L of a connected undirected graph on 0 … n−1, as 2·d·(1 − λ) of W = I − L/2d."""
    ends = np.asarray(edges).T
    directed = sparse.coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(nodes, nodes)).tocsr()
    adjacency = directed + directed.T
    degrees = np.asarray(adjacency.sum(axis=1))
    twice = 2 * float(degrees.max())
    return twice * spectral_gap(sparse.csr_array((adjacency + sparse.diags_array(twice - degrees)) / twice))


def is_doubly_stochastic(W: Float64Matrix | sparse.csr_array) -> bool:
    """Whether rows and columns sum to 1: mixing then keeps the mean."""
    return all(bool(np.allclose(W.sum(axis=axis), 1, atol=ROUNDING)) for axis in (0, 1))


def spectral_gap(W: Float64Matrix | sparse.csr_array) -> float:
    """1 − λ."""
    return 1 - second_eigenvalue(W)


def steps_to(lam: float, tolerance: float = 1e-3) -> int | None:
    """Rounds until the distance from the mean is at most `tolerance` of what it was; None: λ bounds nothing."""
    if lam >= 1:
        return None
    if lam <= tolerance:
        return 1
    return math.ceil(math.log(tolerance) / math.log(lam) - ROUNDING)


def _dense_norm(deviation: Float64Matrix) -> float:
    if np.allclose(deviation, deviation.T, atol=1e-12):
        return float(np.abs(np.linalg.eigvalsh(deviation)).max())
    return float(np.linalg.norm(deviation, 2))


def _sparse_norm(*rounds: sparse.csr_array) -> float:
    """Lanczos on (W − J)ᵀ(W − J), W the product, quick where the gap is wide; else, near its end, on the Laplacian."""
    nodes = rounds[0].shape[0]

    def centered_square(x: NDArray[np.float64]) -> NDArray[np.float64]:
        y = reduce(lambda mixed, W: W @ mixed, rounds, x) - x.mean()
        z = reduce(lambda mixed, W: W.T @ mixed, reversed(rounds), y)
        return np.asarray(z - y.mean())

    start = np.random.default_rng(0).standard_normal(nodes)
    # Lanczos cannot begin where nothing is left
    if np.linalg.norm(centered_square(start)) <= EXACT * np.linalg.norm(start):
        return 0.0
    operator = linalg.LinearOperator((nodes, nodes), matvec=centered_square, dtype=np.float64)
    try:
        (square,) = linalg.eigsh(operator, k=1, v0=start, maxiter=300, tol=1e-10, return_eigenvectors=False)
    except linalg.ArpackNoConvergence:
        square = np.float64(1 - _slow_gap(rounds, start))
    return math.sqrt(max(float(square), 0.0))


def _slow_gap(rounds: Sequence[sparse.csr_array], start: NDArray[np.float64]) -> float:
    """Second smallest eigenvalue of I − WᵀW; the smallest is 0."""
    product = sparse.csr_array(reduce(lambda product, W: W @ product, rounds))
    if not is_doubly_stochastic(product):
        raise TopologyError("topology.weights: λ of so large a graph needs doubly stochastic weights")
    laplacian = sparse.csc_array(sparse.eye_array(product.shape[0]) - product.T @ product)
    # just below 0, so that the matrix to invert is not singular
    values = linalg.eigsh(laplacian, k=2, sigma=-1e-9, v0=start, return_eigenvectors=False)
    return float(np.sort(values)[1])
