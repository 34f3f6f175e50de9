"""What a sender takes for known at the other end of an edge, and how far it trusts that.

A publication that builds on one before costs less than one that stands by itself, and is worth nothing where the other
was lost. Each refusal doubles the number of the next ones that stand by themselves, sixteen that need not take one off:
on a line that loses nothing all build on each other, on one that loses much hardly any does.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

M = TypeVar("M")
_MOST = 64
_TRUST = 1 / 16


@dataclass(slots=True)
class Known(Generic[M]):
    """One edge.

    Attributes:
        mark: of the publication that was sent last; None: nothing is known at the other end.
    """

    mark: M | None = None
    _doubt: float = 0.0
    _alone: int = 0

    def is_trusted(self) -> bool:
        """Whether the next publication may build on `mark`; asked once for each."""
        if self._alone:
            self._alone -= 1
            return False
        self._doubt = max(0, self._doubt - _TRUST)
        return True

    def forget(self) -> None:
        """The line was lost, and perhaps what was on it."""
        self.mark = None

    def refused(self) -> None:
        """The other end lacked what a publication was built on."""
        self.mark = None
        self._doubt = min(2 * self._doubt + 1, _MOST)
        self._alone = round(self._doubt)
