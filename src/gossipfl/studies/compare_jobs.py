"""The runs of a comparison, some at a time.

waiting ──start──> running ──ended──> Ended
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from gossipfl.studies.compare_plan import Order

POLL_S = 0.1
LOOK_BYTES = 8192
"""Of the end of metrics.jsonl: more than a line."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a comparison is.

    Attributes:
        runs, done, faulty: runs there are, that came to their end, and that have no result.
        running: part of its steps that each run under way has done, as far as it has recorded, by its name.
        seconds: real ones so far.
        left_s: real seconds left, if it goes on as it has; None at the start.
    """

    runs: int
    done: int
    faulty: int
    running: Mapping[str, float]
    seconds: float
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        status: stopped: it can go on; diverged: its values are no longer finite.
        message: one line; empty of what is done.
    """

    status: Literal["done", "stopped", "diverged", "failed"]
    message: str = ""


class Executor(Protocol):
    """What does runs; see `compare_executors`."""

    def start(self, order: Order) -> None:
        """Begins one."""
        ...

    def ended(self) -> Mapping[str, Ended]:
        """How those have ended that did so since the last call, by the order's name."""
        ...


class Jobs:
    """Does orders, some at a time.

    Args:
        orders: all there are; those that are done count, and are not done again.
        at_once: how many at a time, at most.
    """

    def __init__(self, orders: Sequence[Order], executor: Executor, *, at_once: int) -> None:
        self._orders = orders
        self._executor = executor
        self._at_once = at_once
        self._waiting = deque(order for order in orders if not order.is_done)
        self._work = len(self._waiting)
        self._running: dict[str, Order] = {}
        self._ended: dict[str, Ended] = {}
        self._started = time.monotonic()

    def __call__(self, show: Callable[[Advance], None]) -> dict[str, Ended]:
        """Does all that is to be done; how those ended that were run, by name."""
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._at_once:
                order = self._waiting.popleft()
                self._executor.start(order)
                self._running[order.name] = order
            for name, ended in self._executor.ended().items():
                del self._running[name]
                self._ended[name] = ended
            show(self.advance())
            if self._running:
                time.sleep(POLL_S)
        return self._ended

    def advance(self) -> Advance:
        """How far it is."""
        running = {name: _share(order) for name, order in self._running.items()}
        faulty = sum(ended.status != "done" for ended in self._ended.values())
        seconds, worked = time.monotonic() - self._started, len(self._ended) + sum(running.values())
        return Advance(
            runs=len(self._orders),
            done=len(self._orders) - self._work + len(self._ended) - faulty,
            faulty=faulty,
            running=running,
            seconds=seconds,
            left_s=seconds * (self._work / worked - 1) if worked else None,
        )


def _share(order: Order) -> float:
    """Part of its steps that a run has recorded."""
    steps = order.loaded.experiment.training.total_steps
    return min(1.0, _recorded_steps(order.output / "metrics.jsonl") / steps)


def _recorded_steps(path: Path) -> float:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOOK_BYTES))
            # what follows the last line's end is still being written
            lines = file.read().rpartition(b"\n")[0].splitlines()
    except FileNotFoundError:
        return 0.0
    return float(json.loads(lines[-1])["step"]) if lines else 0.0
