"""Mixing of products: what is averaged is ΔW = s·B·A of each layer, not B and A by themselves.

    target = Σ_j w_j s_j B_j A_j        (out, in), never written out while the ranks add up to less

svd   the nearest product of the node's own rank, in the factors nearest to the own ones

Contributions may have other ranks than the node itself, and other scales. Everything but the factors is averaged as
always.

**The gauge.** B A = (B G⁻¹)(G A) for every G, so a product does not say which factors. Increments of training and the
optimizer's moments belong to the factors they were computed at: they are kept as they are as far as possible. With
target ≈ U Σ Vᵀ the new A is the own one, projected onto the rows of V; what of its span the target does not need stays.
So nodes that agree do not move, where the directions of A are of similar lengths, as at the start; at B = 0 A stays.

Sources: FlexLoRA, Bai et al. (2402.11505); DeCAF (2505.21382); best product: Eckart & Young (1936).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gossipfl.core.factors import Matrix, Pair, pairs_of, summed
from gossipfl.state import AdapterSpec, AdapterState

Scale = Callable[[int], float]
"""Rank to the scale s of ΔW = s·B·A."""
FLOOR = 0.5
"""Smallest length of a direction of the new A, relative to the largest of the own one: B makes up for it. Small ones
make a large B, which multiplies every step of A: with 0.01 MiniLM did not learn (.24 accuracy in place of .84)."""
NOTHING = 1e-12
"""Singular values below this share of the largest are rounding."""


@dataclass(frozen=True, slots=True)
class Products:
    """Averages products and gives them back at the node's own rank; see `Mixing`.

    Attributes:
        scale: of every node's products, by its rank.

    Guarantees:
        The new product is the nearest to the weighted mean of products that the own rank allows: the mean itself where
        its rank is no higher. Where all products are equal, it is theirs.
    """

    scale: Scale

    def mix(
        self, own: AdapterState, own_weight: float, contributions: Mapping[str, tuple[float, AdapterState]]
    ) -> AdapterState:
        """New own state; all weights, own among them, sum to 1."""
        others = list(contributions.values())
        mixed = own.toward([(weight, aligned(state, own)) for weight, state in others]).vector.copy()
        for pair, terms in sums_of(own, [(own_weight, own), *others], self.scale):
            B, A = nearest_factors(terms, pair.right(own.vector))
            mixed[pair.A_place] = A.reshape(-1)
            mixed[pair.B_place] = B.reshape(-1) / self.scale(pair.rank)
        return AdapterState(own.spec, mixed)


@dataclass(frozen=True, slots=True)
class Terms:
    """A sum of products Σ left · right.

    Attributes:
        lefts: (out, rank) each, weights and scales among them.
        rights: (rank, in) each.
    """

    lefts: Sequence[Matrix]
    rights: Sequence[Matrix]


def sums_of(own: AdapterState, states: Sequence[tuple[float, AdapterState]], scale: Scale) -> list[tuple[Pair, Terms]]:
    """Of each layer of `own` the weighted sum of all states' updates."""
    by_state = [{pair.layer: pair for pair in _pairs(state.spec)} for _, state in states]
    found = []
    for pair in _pairs(own.spec):
        lefts, rights = [], []
        for (weight, state), pairs in zip(states, by_state, strict=True):
            theirs = pairs[pair.layer]
            lefts.append(weight * scale(theirs.rank) * theirs.left(state.vector))
            rights.append(theirs.right(state.vector))
        found.append((pair, Terms(lefts, rights)))
    return found


def aligned(state: AdapterState, own: AdapterState) -> AdapterState:
    """The state in the own layout; factors of other ranks are replaced by the own ones."""
    if state.spec is own.spec or state.spec == own.spec:
        return state
    vector, theirs = own.vector.copy(), state.spec.slices
    shapes = {segment.name: segment.shape for segment in state.spec.segments}
    for segment in own.spec.segments:
        if shapes.get(segment.name) == segment.shape:
            vector[own.spec.slices[segment.name]] = state.vector[theirs[segment.name]]
    return AdapterState(own.spec, vector)


def nearest_factors(terms: Terms, anchor: Matrix) -> tuple[Matrix, Matrix]:
    """B (out, rank), A (rank, in) of the nearest product to a sum, A as near to the anchor as that allows.

    Args:
        anchor: (rank, in), the A that training knows.
    """
    U, sigma, Vt = leading(terms, len(anchor))
    P, lengths, Wt = np.linalg.svd(anchor @ Vt.T, full_matrices=False)
    largest = float(np.linalg.norm(anchor, 2)) or 1.0
    lengths = np.maximum(lengths, FLOOR * largest)
    B: Matrix = (U * sigma) @ (Wt.T / lengths) @ P.T
    # at right angles to P, and so to Vᵀ: anchor V lies in the span of P
    A: Matrix = (P * lengths) @ (Wt @ Vt) + anchor - P @ (P.T @ anchor)
    return B, A


def leading(terms: Terms, rank: int) -> tuple[Matrix, Matrix, Matrix]:
    """U (out, k), σ (k,), Vᵀ (k, in) of a sum of products, k being at most `rank` and its own rank.

    While the ranks of the terms add up to less than either side, only matrices of that many rows are decomposed.
    """
    total = sum(left.shape[1] for left in terms.lefts)
    if total < min(terms.lefts[0].shape[0], terms.rights[0].shape[1]):
        Q, R = np.linalg.qr(np.hstack(terms.lefts))
        P, S = np.linalg.qr(np.vstack(terms.rights).T)
        U, sigma, Vt = np.linalg.svd(R @ S.T)
        U, Vt = Q @ U, Vt @ P.T
    else:
        U, sigma, Vt = np.linalg.svd(summed(terms.lefts, terms.rights), full_matrices=False)
    kept = min(rank, int(np.count_nonzero(sigma > NOTHING * sigma[0])))
    return U[:, :kept], sigma[:kept], Vt[:kept]


@lru_cache(maxsize=64)
def _pairs(spec: AdapterSpec) -> tuple[Pair, ...]:
    return pairs_of(spec)
