"""Weighted mixing: x_i ← Σ_j W_ij x_j.

Source: Xiao, Boyd & Lall (2006).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, Self, cast, runtime_checkable

from gossipfl.core.events import P


@runtime_checkable
class Summable(Protocol):
    """A vector that knows a quicker way to its weighted sum than one temporary a term."""

    @classmethod
    def weighted_sum(cls, terms: Sequence[tuple[float, Self]]) -> Self:
        """Sum of weight times vector over at least one term."""
        ...


def weighted_sum(terms: Sequence[tuple[float, P]]) -> P:
    """Sum of weight times vector over at least one term, in the order given; no input is changed."""
    (weight, first), *rest = terms
    if isinstance(first, Summable):
        return cast("P", first.weighted_sum(cast("Any", terms)))
    total = first * weight
    for factor, vector in rest:
        total = total + vector * factor
    return total


class Weighted(Generic[P]):
    """The weighted mean of all contributions.

    Guarantees:
        With weights from 0 to 1 the result lies in the convex hull of own and contributed vectors, up to rounding.
    """

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:
        """Sum over own and contributions; all weights sum to 1."""
        return weighted_sum([(own_weight, own), *contributions.values()])
