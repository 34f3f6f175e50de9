"""Who talks to whom in which round: what every topology gives, and every protocol goes by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol as Seam


@dataclass(frozen=True, slots=True)
class Row:
    """One node's part in one exchange round.

    Attributes:
        weights: weight of each contribution to this node, own name among them; sums to 1.
        receivers: whom this node sends to.
    """

    weights: Mapping[str, float]
    receivers: tuple[str, ...]


class Schedule(Seam):
    """Who talks to whom in which round, and with which weights."""

    @property
    def version(self) -> int:
        """Of the topology; nodes with another one are not mixed with."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node, in the order of peers.yaml."""
        ...

    @property
    def period(self) -> int | None:
        """Rounds after which it repeats, 1 of a static one; None: never, every round is drawn anew."""
        ...

    @property
    def contraction(self) -> float | None:
        """By what E Σ|x − x̄|² is multiplied in a round at most, of one without period; None of one with."""
        ...

    def row(self, node: str, round: int) -> Row:
        """The node's part in a round, from 0; in O(degree). A node that rests has itself alone and no receivers."""
        ...

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody this node ever exchanges with, sorted: the links to keep open."""
        ...

    def digest(self) -> str:
        """SHA-256 over nodes, edges and weights, as hex: equal on two machines when the schedules are."""
        ...
