"""One fault: how it strikes, whom it hurts, how it is mended."""

from collections.abc import Callable
from dataclasses import dataclass

from gossipfl.studies.drill.ground import Ground


def nothing(_: Ground) -> str | None:
    """Nothing is missing."""
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, the same every time.

    Attributes:
        name: on the command line.
        text: one line for people.
        hold_s: from its strike to its mending.
        strike, mend: what is done; what is not as it should be is noted on the ground.
        hurt: nodes that need make no progress meanwhile, by their place; the others must.
        lacks: what this ground misses for it, in a few words; None: nothing.
    """

    name: str
    text: str
    hold_s: float
    strike: Callable[[Ground], object]
    mend: Callable[[Ground], object]
    hurt: tuple[int, ...] = ()
    lacks: Callable[[Ground], str | None] = nothing
