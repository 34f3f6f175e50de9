"""Weighted mixing: x_i ← Σ_j W_ij x_j = x_i + Σ_j W_ij (x_j − x_i), computed as the latter.

What j gains from i is what i loses to j, also in floating point: with symmetric W the mean is kept for any number of
rounds, while the rounded weights of the former need not sum to 1.

Source: Xiao, Boyd & Lall (2006).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Generic, Protocol, Self, cast, runtime_checkable

from gossipfl.core.vector import P


@runtime_checkable
class Summable(Protocol):
    """A vector that knows a quicker way to its weighted sum than one temporary a term."""

    @classmethod
    def weighted_sum(cls, terms: Sequence[tuple[float, Self]]) -> Self:
        """Sum of weight times vector over at least one term."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A vector that knows a quicker way toward others than one temporary a term."""

    def toward(self, terms: Sequence[tuple[float, Self]]) -> Self:
        """Itself plus the sum of weight times (vector - itself)."""
        ...


@cache
def _offers(kind: type, seam: type) -> bool:
    # asked at every mixing, and a protocol's own check looks at all its attributes each time
    return issubclass(kind, seam)


def toward(own: P, terms: Sequence[tuple[float, P]]) -> P:
    """Own plus the sum of weight times (vector - own), in the order given; no input is changed."""
    if _offers(type(own), Movable):
        return cast("P", cast("Movable", own).toward(cast("Any", terms)))
    total = own
    for weight, vector in terms:
        total = total + (vector - own) * weight
    return total


def weighted_sum(terms: Sequence[tuple[float, P]]) -> P:
    """Sum of weight times vector over at least one term, in the order given; no input is changed."""
    (weight, first), *rest = terms
    if _offers(type(first), Summable):
        return cast("P", cast("Summable", first).weighted_sum(cast("Any", terms)))
    total = first * weight
    for factor, vector in rest:
        total = total + vector * factor
    return total


class Weighted(Generic[P]):
    """The weighted mean of all contributions.

    Guarantees:
        With weights from 0 to 1 the result lies in the convex hull of own and contributed vectors, up to rounding.
    """

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:  # noqa: ARG002
        """Sum over own and contributions; all weights sum to 1, so that the own one follows from the others."""
        return toward(own, list(contributions.values()))
