"""How good the nodes of a recorded run are.

Accuracy, or loss where there is none; on the common test set, or where there is none on each node's own held-out part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gossipfl.report.recorded import RecordedRun, Summary

Part = Literal["test", "own"]
Figure = Literal["accuracy", "loss"]
Values = NDArray[np.float64]
PARTS: dict[Part, str] = {"test": "common test set", "own": "own held-out records"}


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured.

    Attributes:
        part: the records.
        figure: what of them.
    """

    part: Part
    figure: Figure

    @property
    def column(self) -> str:
        """Its key in metrics.jsonl and nodes.jsonl."""
        return f"{self.part}_{self.figure}"

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.figure}, {PARTS[self.part]}"


def measure_of(run: RecordedRun) -> Measure | None:
    """The one that its result is judged by; None of gossip without training."""
    for part in PARTS:
        if is_known(series(run, f"{part}_loss")):
            return Measure(part, "accuracy" if is_known(series(run, f"{part}_accuracy")) else "loss")
    return None


def series(run: RecordedRun, key: str) -> Values:
    """A key of metrics.jsonl over the evaluations."""
    return np.array([summary.figure(key) for summary, _ in run.evaluations])


def first_at_least(run: RecordedRun, key: str, goal: float) -> float | None:
    """Virtual seconds of the first evaluation at which a key of metrics.jsonl has reached the goal; None: never."""
    found = first_where(run, key, lambda value: value >= goal)
    return None if found is None else found.virtual_s


def first_where(run: RecordedRun, key: str, holds: Callable[[float], bool]) -> Summary | None:
    """The first line of metrics.jsonl whose key is as wished; None: never."""
    return next((summary for summary, _ in run.evaluations if holds(summary.figure(key))), None)


def by_node(run: RecordedRun, key: str) -> Values:
    """A column of nodes.jsonl, (evaluations, nodes)."""
    unknown = (np.nan,) * len(run.graph)
    return np.array([columns.column(key) or unknown for _, columns in run.evaluations])


def span(values: Values) -> tuple[Values, Values]:
    """Smallest and largest known value of each row."""
    return np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)


def is_known(values: Values) -> bool:
    """Any of them."""
    return not bool(np.isnan(values).all())


def figures_of(runs: Sequence[RecordedRun]) -> list[Figure]:
    """What there is a picture of."""
    found = {measure.figure for measure in map(measure_of, runs) if measure is not None}
    return sorted(found)
