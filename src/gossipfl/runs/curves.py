"""Curves of a run for TensorBoard (extra `tensorboard`): event files beside what the run writes anyway.

    line, line, line, …  ──the last of each place──> events.out.tfevents.…

A place is where on the x axis a line belongs: a node's phase, a simulated run's exchange round. Several lines may have
the same one, the last of which counts: so a line is kept back until one of a later place comes, or the end. A process
that goes on with a run begins an event file of its own, which puts aside what those before it say of places that come
again.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipfl.errors import ConfigError

if TYPE_CHECKING:
    from gossipfl.runs.event_file import EventFile

logger = logging.getLogger(__name__)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Axes:
    """What is drawn of a line.

    Attributes:
        place: its key for the x axis.
        tags: by key of a figure, the name of its curve; a figure that is missing, or none, is left out.
    """

    place: str
    tags: Mapping[str, str]


NODE = Axes(
    "phase",
    {
        "loss": "held_out/loss",
        "accuracy": "held_out/accuracy",
        "test_loss": "test/loss",
        "test_accuracy": "test/accuracy",
        "epsilon": "privacy/epsilon",
        "distance": "distance/to_neighbors",
        "drift": "distance/drift",
    },
)
"""A node's own: what is in its metrics.jsonl."""
SIMULATED = Axes(
    "round",
    {
        "own_loss": "held_out/loss",
        "own_accuracy": "held_out/accuracy",
        "test_loss": "test/loss",
        "test_accuracy": "test/accuracy",
        "mean_model_loss": "mean_model/loss",
        "mean_model_accuracy": "mean_model/accuracy",
        "epsilon": "privacy/epsilon",
        "consensus_distance": "distance/consensus",
        "bound": "distance/bound",
    },
)
"""Of all nodes of a simulated run together."""


def require_tensorboard() -> None:
    """Raises `ConfigError` where the extra is not installed."""
    if find_spec("tensorboard") is None:
        raise ConfigError("--tensorboard needs tensorboard: scripts/install tensorboard, or gossipfl[tensorboard]")


class Curves:
    """Event files of one run in a folder; a disk that fails ends the curves, not the run.

    Args:
        folder: made, for this user only, since held-out figures are private.
        before: the last line that an earlier process of this run wrote, and when; asked for at the first line.

    Raises:
        ConfigError: the folder cannot be made, or the extra is not installed.
    """

    def __init__(self, folder: Path, axes: Axes, before: Callable[[], tuple[Row, float] | None]) -> None:
        self._folder = folder
        self._axes = axes
        self._before = before
        self._kept: tuple[int, Mapping[str, float], float] = (0, {}, 0.0)
        self._file: EventFile | None = None
        self._ended = False
        require_tensorboard()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--tensorboard {folder}: {error.strerror}") from error

    def take(self, row: Row) -> None:
        """The run has written a line."""
        if not self._ended:
            with self._unless_it_fails():
                self._take(row)

    def close(self) -> None:
        """The run is over, for now."""
        if not self._ended and self._file is not None:
            with self._unless_it_fails(), closing(self._file) as file:
                file.draw(*self._kept)
        self._ended = True

    def _take(self, row: Row) -> None:
        place = self._place(row)
        if self._file is None:
            self._file = self._begun(place)
        elif self._kept[0] != place:
            self._file.draw(*self._kept)
        self._kept = (place, self._figures(row), time.time())

    def _begun(self, place: int) -> "EventFile":
        """An event file in which everything from this place on is said anew."""
        from gossipfl.runs.event_file import EventFile  # noqa: PLC0415  # an extra

        before = self._before()
        if before is None or self._place(before[0]) >= place:
            return EventFile(self._folder, anew_from=place)
        # a process that was killed had kept its last line back
        row, at = before
        file = EventFile(self._folder, anew_from=self._place(row))
        file.draw(self._place(row), self._figures(row), at)
        return file

    def _figures(self, row: Row) -> Mapping[str, float]:
        values = {tag: row.get(key) for key, tag in self._axes.tags.items()}
        return {tag: value for tag, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}

    def _place(self, row: Row) -> int:
        return round(float(row[self._axes.place]))

    @contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._ended = True
            logger.warning("no more curves for TensorBoard: %s cannot be written to: %s", self._folder, error)


def last_line(metrics: Path, axes: Axes) -> tuple[Row, float] | None:
    """The last whole line of a file of JSON lines, and when it was written; None without."""
    for line in reversed(metrics.read_bytes().splitlines() if metrics.exists() else []):
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and axes.place in row:
                return row, metrics.stat().st_mtime
    return None
