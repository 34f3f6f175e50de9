"""What a node tells of its past: as many points as fit, evenly over its steps, those of earlier lives among them."""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gossipfl.net.reports import HISTORY, Measured


class History:
    """Points in the order of their steps, at most `HISTORY`: when there are more, every second one goes, and so on.

    The last one is always there.
    """

    def __init__(self, points: Iterable[Measured] = ()) -> None:
        self._kept: list[Measured] = []
        self._last: Measured | None = None
        self._places, self._stride = 0, 1
        for point in points:
            self.add(point)

    @property
    def points(self) -> tuple[Measured, ...]:
        """From the first to the last."""
        last = self._last
        return tuple(self._kept) if last is None or self._kept[-1] is last else (*self._kept, last)

    def add(self, point: Measured) -> None:
        """Takes a point in place of those that are not before it: steps that are done again, or mixing without any."""
        if self._last is not None and point.step < self._last.step:
            before = [each for each in self.points if each.step < point.step]
            self._kept, self._last = before, before[-1] if before else None
            self._places, self._stride = len(before), 1
        if self._last is not None and point.step == self._last.step:
            if self._kept[-1] is self._last:
                self._kept[-1] = point
        else:
            if self._places % self._stride == 0:
                self._kept.append(point)
            self._places += 1
        self._last = point
        if len(self._kept) == HISTORY:
            self._kept, self._stride = self._kept[::2], 2 * self._stride


def history_in(metrics: Path) -> History:
    """What earlier lives of a node wrote down; a torn line is left out.

    Only about twice as many lines as fit are taken apart: a long file costs little.
    """
    lines = metrics.read_bytes().splitlines() if metrics.exists() else []
    stride = max(1, len(lines) // (2 * HISTORY))
    return History(_points([*lines[:-1:stride], *lines[-1:]]))


def _points(lines: Iterable[bytes]) -> Iterator[Measured]:
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            yield _point(json.loads(line))


def _point(row: dict[str, Any]) -> Measured:
    loss, accuracy = _number(row["test_loss"]), _number(row["test_accuracy"])
    return Measured(int(row["step"]), _number(row["epsilon"]), loss, accuracy, _number(row.get("distance")))


def _number(value: object) -> float | None:
    """What metrics.jsonl holds of a figure, where infinity is a word."""
    number = float(value) if isinstance(value, int | float | str) else math.nan
    return number if math.isfinite(number) else None
