"""What robust mixings ask of vectors: distances, and what is done entry by entry over several.

States of others are the shared part of one's own; what is private stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P

Rows = list[NDArray[Any]]
Combine = Callable[[Rows], NDArray[Any]]
"""One entry of the result for each entry of the rows; it may write over them."""


@runtime_checkable
class Entrywise(Protocol):
    """A vector of entries."""

    @classmethod
    def entrywise(cls, vectors: Sequence[Self], combine: Combine) -> Self:
        """Made of the entries of at least one vector, a block at a time."""
        ...


@runtime_checkable
class Measurable(Protocol):
    """A vector that knows a quicker way to a distance than the norm of a difference."""

    def distance(self, other: Self) -> float:
        """Euclidean."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """A vector of which a part may stay."""

    def sharing(self) -> Self:
        """What may be exchanged of it."""
        ...


def shared(own: P) -> P:
    """What is compared with others' states."""
    return cast("P", own.sharing()) if isinstance(own, Sharing) else own


def distance(one: P, other: P) -> float:
    """Euclidean, of the vectors' norm."""
    if isinstance(one, Measurable):
        return one.distance(cast("Any", other))
    return abs(one - other)


def entrywise(vectors: Sequence[P], combine: Combine) -> P:
    """Made of the entries of at least one vector; no input is changed."""
    first = vectors[0]
    if isinstance(first, Entrywise):
        return cast("P", type(first).entrywise(cast("Any", vectors), combine))
    rows = [np.array([vector], dtype=np.float64) for vector in vectors]
    return cast("P", combine(rows)[0])


def all_of(own: P, contributions: Mapping[str, tuple[float, P]]) -> list[P]:
    """Own state first, then what there is of others, by name: the same whoever came first."""
    return [shared(own), *(contributions[name][1] for name in sorted(contributions))]


def moved_to(own: P, target: P) -> P:
    """Own state with another shared part."""
    return toward(own, [(1.0, target)])
