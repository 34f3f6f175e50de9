"""Virtual time: a heap of what is going to happen.

(time, order, happening)        equal times happen in the order in which they were planned
"""

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

H = TypeVar("H")


class Clock(Generic[H]):
    """What happens next; all of it can be pickled.

    Attributes:
        now: virtual seconds, never going back.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, H]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def plan(self, at: float, happening: H) -> None:
        """Plans a happening; one in the past happens now."""
        self._order += 1
        heapq.heappush(self._heap, (max(at, self.now), self._order, happening))

    def next(self) -> H:
        """What happens now; time moves to it."""
        self.now, _, happening = heapq.heappop(self._heap)
        return happening

    @property
    def next_at(self) -> float:
        """When the next thing happens; there has to be one."""
        return self._heap[0][0]

    def forget(self, stale: Callable[[H], bool]) -> None:
        """Drops every happening that `stale` is true of: timers that were set anew, say."""
        self._heap = [entry for entry in self._heap if not stale(entry[2])]
        heapq.heapify(self._heap)
