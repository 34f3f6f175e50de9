"""Comparisons of small runs on digits, done one after the other in this process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.sim.training import digits

from gossipfl.config.compare import CompareConfig
from gossipfl.config.loading import LoadedExperiment, load_experiment
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_executors import OpenExecutor
from gossipfl.studies.compare_jobs import Ended, Executor
from gossipfl.studies.compare_plan import Order
from gossipfl.studies.compare_run import run_order

GOSSIP = {"driver": "gossip"}
SMALL: Mapping[str, Any] = {
    "training__phases": 4,
    "training__learning_rate": 0.02,
    "gossip__settle_rounds": 0,
    "simulation__evaluate_every": 1,
}


class Here:
    """Does runs at once, in this process; knows which.

    Args:
        stop_at: Ctrl-C comes when this many have been done.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.started: list[str] = []
        self._stop_at = stop_at
        self._ended: dict[str, Ended] = {}

    def start(self, order: Order) -> None:
        if len(self.started) == self._stop_at:
            raise KeyboardInterrupt
        self.started.append(order.name)
        self._ended[order.name] = run_order(order)

    def ended(self) -> dict[str, Ended]:
        ended, self._ended = self._ended, {}
        return ended

    @property
    def opened(self) -> OpenExecutor:
        """For `compare`."""

        @contextmanager
        def opened(_table: CompareConfig, _at_once: int) -> Iterator[Executor]:
            yield self

        return opened


def written(folder: Path, compare_table: Mapping[str, Any], **changes: Any) -> Path:
    """experiment.yaml with this table of arms."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "arms.yaml"
    content = {**digits(**{**SMALL, **changes}), "compare": dict(compare_table)}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def loaded(folder: Path, compare_table: Mapping[str, Any], **changes: Any) -> LoadedExperiment:
    """The same, read back."""
    return load_experiment(written(folder, compare_table, **changes))


def compared(folder: Path, compare_table: Mapping[str, Any], here: Here | None = None, **changes: Any) -> Comparison:
    """Runs it in the folder's `study`, or goes on there."""
    study = folder / "study"
    executor = (here or Here()).opened
    return compare(loaded(folder, compare_table, **changes), study, resume=study.exists(), executor=executor)


def by_name(comparison: Comparison) -> dict[str, ArmSummary]:
    """Its arms."""
    return {arm.name: arm for arm in comparison.arms}
