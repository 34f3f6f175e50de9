"""A race's picture holds the recorded accuracies and the times that its table has."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.report.recorded_runs import trained
from tests.sim.averaging import lines

from gossipfl.report.measures import first_at_least
from gossipfl.report.race_picture import Entrant, draw_race
from gossipfl.report.recorded import RecordedRun
from gossipfl.report.runs import read_runs

GOAL = 0.2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    return read_runs([trained(tmp_path_factory.mktemp("race") / "run")])[0]


def picture_of(run: RecordedRun) -> Figure:
    one, other = Entrant("quick", run, 2.0), Entrant("slow", run, 5.0)
    return draw_race({"first": [one, other], "second": [one, one, other]}, goal=GOAL)


def test_accuracy_is_drawn_as_recorded_against_virtual_time(run: RecordedRun) -> None:
    times = [summary.virtual_s for summary, _ in run.evaluations if summary.virtual_s > 0]
    accuracies = [summary.test_accuracy for summary, _ in run.evaluations if summary.virtual_s > 0]
    for axes, entrants in zip(picture_of(run).axes, (2, 3), strict=True):
        assert axes.get_xscale() == "log"
        assert axes.get_xlim() == (min(times), max(times))
        curves = [np.asarray(line.get_data()).tolist() for line in axes.lines]
        assert curves.count([times, accuracies]) == entrants


def test_each_run_has_a_point_where_it_reaches_the_goal_and_each_kind_a_factor(run: RecordedRun) -> None:
    for axes, entrants in zip(picture_of(run).axes, (2, 3), strict=True):
        points = [
            (float(np.asarray(line.get_xdata())[0]), float(np.asarray(line.get_ydata())[0]))
            for line in axes.lines
            if line.get_marker() == "o"
        ]
        assert sorted(points) == [(2.0, GOAL)] * (entrants - 1) + [(5.0, GOAL)]
        assert axes.get_title().endswith(": 2.0 s, 5.0 s (2.50×)")


def test_the_goal_is_reached_at_the_first_evaluation_that_is_as_good(tmp_path: Path) -> None:
    (run,) = read_runs([trained(tmp_path / "run")])
    recorded = lines(tmp_path)
    best = max(line["test_accuracy"] for line in recorded)
    first = next(line["virtual_s"] for line in recorded if line["test_accuracy"] == best)
    assert first_at_least(run, "test_accuracy", best) == first
    assert first_at_least(run, "test_accuracy", best + 1e-9) is None
