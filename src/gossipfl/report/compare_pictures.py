"""Pictures of a comparison: how good arms become, after how much of what, and how they differ.

thin lines   a run each                bold line   mean over the seeds, evaluation by evaluation
dotted       what has no place on the axis (no bytes, no ε): a line at its end
"""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.curves import ABSCISSAS
from gossipfl.report.inline_svg import INK, arm_color
from gossipfl.report.measures import Values, series
from gossipfl.report.panels import make_panels
from gossipfl.report.recorded import RecordedRun

MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖"}
"""Of matplotlib, and the same in text; with the colors they tell 70 arms apart."""
MARKED = 8
"""Evaluations of a mean that are points on its line, about."""


def marker(place: int) -> str:
    """Matplotlib's marker of the arm at this place."""
    return list(MARKERS)[place % len(MARKERS)]


def draw_against(comparison: Comparison, key: str) -> Figure:
    """The measure against a key of `ABSCISSAS`, over the run."""
    figure, (axes,) = make_panels(1)
    axes.set_xlabel(ABSCISSAS[key])
    axes.set_ylabel(_ordinate(comparison))
    for place, arm in _drawn(comparison):
        runs = [done.run for done in arm.done.values()]
        if all(series(run, key)[-1] == 0 for run in runs):
            _draw_end(axes, place, arm)
        else:
            _draw_arm(axes, place, runs, (key, _column(comparison)))
    _draw_goal(axes, comparison)
    if key == "bytes_per_node":
        axes.xaxis.set_major_formatter(EngFormatter(unit="B"))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def draw_epsilon(comparison: Comparison) -> Figure | None:
    """The measure at the end against ε; None where no arm has one.

    Filled: noise of the nodes' own. Hollow: of a trusted server or owner of all data, which is another promise.
    """
    if not any(arm.figures["epsilon"].count for _, arm in _drawn(comparison)):
        return None
    figure, (axes,) = make_panels(1)
    axes.set_xlabel("ε at the end (smaller is more private)")
    axes.set_ylabel(f"{_ordinate(comparison)}, at the end")
    for place, arm in _drawn(comparison):
        epsilons, values = arm.values("epsilon"), arm.values("mean_node")
        if not arm.figures["epsilon"].count:
            _draw_end(axes, place, arm)
            continue
        axes.plot(
            [epsilons[seed] for seed in values],
            list(values.values()),
            color=arm_color(place),
            marker=marker(place),
            markersize=8,
            fillstyle="full" if arm.noise == "local" else "none",
            linestyle="",
        )
    return figure


def draw_differences(comparison: Comparison) -> Figure | None:
    """By how much the mean node of each arm is above that of the reference, with 95% intervals; None without any."""
    rows = [(place, arm) for place, arm in _drawn(comparison) if arm.differences and arm.differences["mean_node"].pairs]
    if not rows:
        return None
    figure, (axes,) = make_panels(1)
    figure.set_size_inches(6.0, 1.2 + 0.45 * len(rows))
    axes.axvline(0, color=INK, linewidth=1)
    for height, (place, arm) in enumerate(rows):
        found = arm.differences["mean_node"]
        if found.mean is None:
            continue
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [height, height], color=arm_color(place), linewidth=2)
        axes.plot([found.mean], [height], color=arm_color(place), marker=marker(place), markersize=8)
    axes.set_yticks(range(len(rows)), [_plain(arm.name) for _, arm in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(_plain(f"{comparison.measure and comparison.measure.figure}: arm − {comparison.terms.reference}"))
    return figure


def mean_curve(runs: Sequence[RecordedRun], keys: tuple[str, str]) -> tuple[Values, Values]:
    """Means over runs of two keys, at their first, second, … and last evaluation.

    Where one run has more evaluations than another, those before the last that not all have are left out.
    """
    shortest = min(len(run.evaluations) for run in runs)
    places = [*range(shortest - 1), -1]
    first, second = (np.mean([series(run, key)[places] for run in runs], axis=0) for key in keys)
    return first, second


def _draw_arm(axes: Axes, place: int, runs: Sequence[RecordedRun], keys: tuple[str, str]) -> None:
    color = arm_color(place)
    if len(runs) > 1:
        for run in runs:
            axes.plot(*(series(run, key) for key in keys), color=color, linewidth=1, alpha=0.35)
    across, up = mean_curve(runs, keys)
    every = max(1, len(across) // MARKED)
    axes.plot(across, up, color=color, linewidth=2.2, marker=marker(place), markevery=(place % every, every))


def _draw_end(axes: Axes, place: int, arm: ArmSummary) -> None:
    end = arm.figures["mean_node"].mean
    if end is not None:
        axes.axhline(end, color=arm_color(place), linestyle=":", linewidth=2)


def _draw_goal(axes: Axes, comparison: Comparison) -> None:
    goal = comparison.terms.goal
    if goal is not None:
        axes.axhline(goal, color=INK, linestyle="--", linewidth=1, alpha=0.7)
        axes.annotate(f"goal {goal:g}", (0.01, goal), xycoords=("axes fraction", "data"), va="bottom", fontsize="small")


def _drawn(comparison: Comparison) -> Iterator[tuple[int, ArmSummary]]:
    """Arms that have a result, by their place."""
    return ((place, arm) for place, arm in enumerate(comparison.arms) if arm.done)


def _column(comparison: Comparison) -> str:
    return comparison.measure.column if comparison.measure else ""


def _ordinate(comparison: Comparison) -> str:
    return f"{comparison.measure.figure}, mean over nodes" if comparison.measure else ""


def _plain(text: str) -> str:
    # a dollar would begin a formula
    return text.replace("$", r"\$")
