"""How fast a schedule agrees: λ = ‖W − 11ᵀ/n‖₂, and Σ‖x_i − x̄‖² shrinks by λ² a round at least.

For a doubly stochastic W the square of λ is the second largest eigenvalue of S = WᵀW (of W itself up to sign when W is
symmetric), so a sparse solver needs neither the dense matrix nor W − 11ᵀ/n.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from gossipfl.core.protocol import Schedule
from gossipfl.errors import TopologyError

Float64Matrix = NDArray[np.float64]
LARGEST_DENSE = 2000
ROUNDING = 1e-9


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


def second_eigenvalue(W: Float64Matrix | sparse.csr_array) -> float:
    """λ = ‖W − 11ᵀ/n‖₂: 0 agrees in one round, 1 never; above 1 for some W that are not doubly stochastic."""
    nodes = W.shape[0]
    if nodes <= LARGEST_DENSE:
        dense = W if isinstance(W, np.ndarray) else W.toarray()
        return _dense_norm(np.asarray(dense) - 1 / nodes)
    return _sparse_norm(sparse.csr_array(W))


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


def _sparse_norm(W: sparse.csr_array) -> float:
    """Lanczos on (W − J)ᵀ(W − J), quick where the gap is wide; else, near its end, on the Laplacian inverted."""
    nodes = W.shape[0]

    def centered_square(x: NDArray[np.float64]) -> NDArray[np.float64]:
        y = W @ x - x.mean()
        return np.asarray(W.T @ y - y.mean())

    operator = linalg.LinearOperator((nodes, nodes), matvec=centered_square, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(nodes)
    try:
        (square,) = linalg.eigsh(operator, k=1, v0=start, maxiter=300, tol=1e-10, return_eigenvectors=False)
    except linalg.ArpackNoConvergence:
        if not is_doubly_stochastic(W):
            raise TopologyError("topology.weights: λ of so large a graph needs doubly stochastic weights") from None
        square = np.float64(1 - _laplacian_gap(W, start))
    return math.sqrt(max(float(square), 0.0))


def _laplacian_gap(W: sparse.csr_array, start: NDArray[np.float64]) -> float:
    """Second smallest eigenvalue of I − WᵀW; the smallest is 0."""
    laplacian = sparse.csc_array(sparse.eye_array(W.shape[0]) - W.T @ W)
    # just below 0, so that the matrix to invert is not singular
    values = linalg.eigsh(laplacian, k=2, sigma=-1e-9, v0=start, return_eigenvectors=False)
    return float(np.sort(values)[1])
