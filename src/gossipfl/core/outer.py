"""What an outer step leaves for the next, see `core.protocols.outer_step`."""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Outer(Generic[P]):
    """What an outer step leaves for the next.

    Attributes:
        slow: φ.
        momentum: m, by which φ moved last; None: nothing, or nobody asks.
    """

    slow: P
    momentum: P | None = None
