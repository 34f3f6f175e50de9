"""Low-rank updates inside a flat vector: pairs of segments of which only the product matters.

    NAME.lora_A (rank, in), NAME.lora_B (out, rank)        ΔW of layer NAME = scale · B A

Averaging both factors is not averaging the product; with weights w that sum to 1 it is off by

    Σ w_i B_i A_i − B̄ Ā  =  Σ w_i (B_i − B̄)(A_i − Ā)

Sums of products have a small rank, so they are never written out as (out, in) while the ranks add up to less: of
[B_1 … B_n] = Q R and [A_1; …; A_n]ᵀ = P S all that a norm needs is R Sᵀ.

Source of the error's form: FedEx-LoRA, Singhal et al. (2410.09432).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gossipfl.state import AdapterSpec, AdapterState, Float32Vector, Segment

Matrix = NDArray[np.float64]
LEFT, RIGHT = ".lora_B", ".lora_A"
"""Ends of the names of the two factors."""
CORE = ".core_R"
"""End of the name of a square core."""
MERGED = ".lora_merged"
"""End of the name of what a layer holds beside their product."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the two factors of a layer lie.

    Attributes:
        layer: its name.
        A, B: their segments, (rank, in) and (out, rank).
        A_place, B_place: in the vector.
    """

    layer: str
    A: Segment
    B: Segment
    A_place: slice
    B_place: slice

    @property
    def rank(self) -> int:
        """Rows of A, columns of B."""
        return self.A.shape[0]

    def left(self, vector: Float32Vector) -> Matrix:
        """B, copied to float64."""
        return vector[self.B_place].reshape(self.B.shape).astype(np.float64)

    def right(self, vector: Float32Vector) -> Matrix:
        """A, copied to float64."""
        return vector[self.A_place].reshape(self.A.shape).astype(np.float64)


def pairs_of(spec: AdapterSpec) -> tuple[Pair, ...]:
    """The layers of which both factors are exchanged; none for every other kind of adapter."""
    shared = {segment.name: segment for segment in spec.segments if segment.shared}
    layers = [name.removesuffix(LEFT) for name in shared if name.endswith(LEFT)]
    return tuple(
        Pair(layer, shared[A], shared[B], spec.slices[A], spec.slices[B])
        for layer in layers
        if (A := layer + RIGHT) in shared and (B := layer + LEFT)
    )


def resized(spec: AdapterSpec, rank: int) -> AdapterSpec:
    """The layout of the same adapter at another rank."""
    shapes: Mapping[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
        RIGHT: lambda shape: (rank, shape[1]),
        LEFT: lambda shape: (shape[0], rank),
        CORE: lambda _: (rank, rank),
    }
    segments = []
    for segment in spec.segments:
        resize = shapes.get(f".{segment.name.rpartition('.')[2]}")
        segments.append(replace(segment, shape=resize(segment.shape)) if resize else segment)
    return AdapterSpec(tuple(segments))


def averaging_error(states: Sequence[AdapterState], weights: Sequence[float] | None = None) -> float | None:
    """‖Σ w BA − B̄Ā‖ over ‖Σ w BA‖, Frobenius norms over all layers: by how much averaging the factors misses the mean.

    Args:
        states: of one layout, at least one.
        weights: not negative, their sum positive; None: all the same.

    Returns:
        0 where all states agree on A or on B, and where the mean itself is 0; None where the spec has no pairs, so that
        averages are exact.
    """
    pairs = pairs_of(states[0].spec)
    if not pairs:
        return None
    raw = np.ones(len(states)) if weights is None else np.asarray(weights, np.float64)
    shares = raw / raw.sum()
    missed = whole = 0.0
    for pair in pairs:
        lefts, rights = ([part(state.vector) for state in states] for part in (pair.left, pair.right))
        whole += product_norm([share * left for share, left in zip(shares, lefts, strict=True)], rights) ** 2
        missed += product_norm(_about_mean(lefts, shares, shares), _about_mean(rights, shares)) ** 2
    return float(np.sqrt(missed / whole)) if whole > 0 else 0.0


def update_distance(one: AdapterState, other: AdapterState, scale: Callable[[int], float]) -> float:
    """How far apart two states are in what they do to the model: by the layers' updates and all else that is shared.

    One update has many factors: distances of those say nothing.
    """
    there = {pair.layer: pair for pair in pairs_of(other.spec)}
    squares, products = 0.0, set()
    for pair in pairs_of(one.spec):
        theirs = there[pair.layer]
        lefts = [scale(pair.rank) * pair.left(one.vector), -scale(theirs.rank) * theirs.left(other.vector)]
        rights = [pair.right(one.vector), theirs.right(other.vector)]
        products |= {pair.A.name, pair.B.name, pair.layer + MERGED}
        squares += _apart(one, other, pair.layer + MERGED, (lefts, rights)) ** 2
    for segment in one.spec.shared().segments:
        if segment.name not in products:
            squares += float(np.linalg.norm(_difference(one, other, segment.name))) ** 2
    return float(np.sqrt(squares))


def _apart(
    one: AdapterState, other: AdapterState, merged: str, products: tuple[Sequence[Matrix], Sequence[Matrix]]
) -> float:
    if merged not in one.spec.slices:
        return product_norm(*products)
    whole = summed(*products)
    return float(np.linalg.norm(whole + _difference(one, other, merged).reshape(whole.shape)))


def _difference(one: AdapterState, other: AdapterState, name: str) -> NDArray[np.float64]:
    values = one.vector[one.spec.slices[name]].astype(np.float64)
    return values - other.vector[other.spec.slices[name]]


def product_norm(lefts: Sequence[Matrix], rights: Sequence[Matrix]) -> float:
    """Frobenius norm of Σ left · right, (out, rank) times (rank, in); ranks may differ."""
    rank = sum(left.shape[1] for left in lefts)
    if rank < min(lefts[0].shape[0], rights[0].shape[1]):
        return float(np.linalg.norm(_triangle(np.hstack(lefts)) @ _triangle(np.vstack(rights).T).T))
    return float(np.linalg.norm(summed(lefts, rights)))


def summed(lefts: Sequence[Matrix], rights: Sequence[Matrix]) -> Matrix:
    """Σ left · right, written out as (out, in)."""
    total = lefts[0] @ rights[0]
    for left, right in zip(lefts[1:], rights[1:], strict=True):
        total += left @ right
    return total


def _triangle(tall: Matrix) -> Matrix:
    return np.asarray(np.linalg.qr(tall, mode="r"), np.float64)


def _about_mean(
    matrices: Sequence[Matrix], shares: NDArray[np.float64], factors: NDArray[np.float64] | None = None
) -> list[Matrix]:
    """Distances to the mean, times factors where they are given."""
    mean = sum(share * matrix for share, matrix in zip(shares, matrices, strict=True))
    away = [matrix - mean for matrix in matrices]
    return away if factors is None else [factor * matrix for factor, matrix in zip(factors, away, strict=True)]
