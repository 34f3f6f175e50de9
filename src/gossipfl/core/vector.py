"""What gossip averages: `P` is an `AdapterState` in production, a `float` in property tests."""

from typing import Protocol, Self, TypeVar


class Vector(Protocol):
    """All that gossip asks of what it averages: a normed vector space. `float` is one."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, scalar: float, /) -> Self: ...
    def __abs__(self) -> float: ...


P = TypeVar("P", bound=Vector)
