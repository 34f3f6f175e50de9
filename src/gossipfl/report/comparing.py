"""Reads the runs of a comparison and puts its arms beside each other."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gossipfl.report.comparison import (
    FIGURES,
    JUDGED,
    MEASURED,
    ArmSource,
    ArmSummary,
    Comparison,
    Done,
    Fault,
    Terms,
    Trial,
    TrialFigures,
    TrialSource,
)
from gossipfl.report.measures import Measure, first_where, measure_of, series
from gossipfl.report.recorded import UNKNOWN, RecordedRun, Summary
from gossipfl.report.runs import read_result, read_runs
from gossipfl.report.statistics import estimate, paired_difference
from gossipfl.runs.result import RunResult

Read = tuple[RecordedRun, RunResult] | Fault


def read_comparison(sources: Sequence[ArmSource], terms: Terms, report: Path) -> Comparison:
    """Reads all trials and puts the arms beside each other, all by the measure of the first run that has one.

    Args:
        report: where the HTML file will be.

    Raises:
        DataError: the folder of a trial without fault holds no run, or one that is damaged.
    """
    read = {source.name: {trial: _read(trial) for trial in source.trials} for source in sources}
    runs = [found[0] for trials in read.values() for found in trials.values() if not isinstance(found, Fault)]
    measure = next((found for found in map(measure_of, runs) if found is not None), None)
    judged = {
        name: tuple(_trial(trial, _judged(found, measure), measure, terms.goal) for trial, found in trials.items())
        for name, trials in read.items()
    }
    recorded = {name for trials in judged.values() for done in _done(trials) for name in done.figures.measured}
    names = (*FIGURES, *(name for name in MEASURED if name in recorded))
    arms = (
        _summary(source, judged[source.name], () if source.name == terms.reference else judged[terms.reference], names)
        for source in sources
    )
    return Comparison(tuple(arms), terms, measure, report, report.parent)


def steps_to_goal(run: RecordedRun, measure: Measure, goal: float) -> float:
    """Steps at the first evaluation at which accuracy is at least, or loss at most, the goal; NaN: never."""
    higher = measure.figure == "accuracy"
    found = first_where(run, measure.column, lambda value: value >= goal if higher else value <= goal)
    return UNKNOWN if found is None else found.step


def _read(trial: TrialSource) -> Read:
    if trial.fault is not None:
        return trial.fault
    (run,) = read_runs([trial.folder])
    result = read_result(trial.folder)
    if result is None:
        return Fault("failed", "it was not finished")
    if ran_away := result.rejected.get("diverged"):
        return Fault("diverged", f"{ran_away} times a client had values that are no longer finite, and was left out")
    measure = measure_of(run)
    if measure is not None and not math.isfinite(series(run, f"{measure.part}_loss")[-1]):
        return Fault("diverged", "at the end the loss is no finite number")
    return run, result


def _judged(found: Read, measure: Measure | None) -> Read:
    """A run of which nothing is known where others are judged has no result."""
    if measure is None or isinstance(found, Fault) or measure_of(found[0]) is not None:
        return found
    return Fault("failed", "its loss was never known: it diverged at once, or has no records to be judged by")


def _trial(trial: TrialSource, found: Read, measure: Measure | None, goal: float | None) -> Trial:
    if isinstance(found, Fault):
        return Trial(trial.seed, trial.folder, found)
    run, result = found
    return Trial(trial.seed, trial.folder, Done(run, result, _figures(run, result, measure, goal)))


def _figures(run: RecordedRun, result: RunResult, measure: Measure | None, goal: float | None) -> TrialFigures:
    last = run.evaluations[-1].summary
    return TrialFigures(
        mean_node=UNKNOWN if measure is None else getattr(last, measure.column),
        # judged by something else, its worst node is of another kind
        worst_node=last.worst if measure == measure_of(run) else UNKNOWN,
        mean_model=UNKNOWN if measure is None else getattr(last, f"mean_model_{measure.figure}"),
        epsilon=UNKNOWN if result.epsilon is None else result.epsilon,
        bytes_per_node=last.bytes_per_node,
        virtual_s=last.virtual_s,
        seconds=result.seconds,
        steps=last.step,
        steps_to_goal=UNKNOWN if measure is None or goal is None else steps_to_goal(run, measure, goal),
        measured={} if measure is None else _measured(last, measure),
    )


def _measured(last: Summary, measure: Measure) -> Mapping[str, float]:
    found = {name: last.figure(f"{measure.part}_{name}") for name in MEASURED}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _summary(
    source: ArmSource, trials: tuple[Trial, ...], reference: tuple[Trial, ...], names: Sequence[str]
) -> ArmSummary:
    values = {name: _values(trials, name) for name in names}
    steps = set(values["steps"].values())
    return ArmSummary(
        source=source,
        trials=trials,
        figures={name: estimate(list(found.values())) for name, found in values.items()},
        differences={name: paired_difference(values[name], _values(reference, name)) for name in JUDGED if reference},
        noise=" and ".join(sorted({done.result.noise for done in _done(trials)})) or "none",
        equal_work=source.equal_work and steps <= {source.steps},
    )


def _values(trials: Iterable[Trial], figure: str) -> Mapping[int, float]:
    return {trial.seed: trial.outcome.figures.value(figure) for trial in trials if isinstance(trial.outcome, Done)}


def _done(trials: Iterable[Trial]) -> list[Done]:
    return [trial.outcome for trial in trials if isinstance(trial.outcome, Done)]
