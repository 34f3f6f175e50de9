"""Who reaches a goal when: accuracy against virtual time, a panel a race, a color a kind of entrant.

The time axis is logarithmic and the same in all panels: a factor is a distance, equal factors are equal distances.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from gossipfl.report.curves import GENERIC
from gossipfl.report.measures import series
from gossipfl.report.panels import make_panels
from gossipfl.report.recorded import RecordedRun


@dataclass(frozen=True, slots=True)
class Entrant:
    """One run in a race.

    Attributes:
        kind: what it has in common with the runs of its color.
        run: with accuracies on a common test set.
        reached_s: virtual seconds until the goal.
    """

    kind: str
    run: RecordedRun
    reached_s: float


class _Span(NamedTuple):
    """First and last virtual second that is drawn."""

    first: float
    last: float


def draw_race(races: Mapping[str, Sequence[Entrant]], *, goal: float) -> Figure:
    """Mean accuracy of all nodes against virtual time; the goal, and when each run is there.

    A dotted line stands at the median time of a kind; the panel's title says that time and how many times the first
    kind's it is.

    Args:
        races: entrants by the panel's title, of every kind at least one in each.
    """
    picture, panels = make_panels(len(races))
    kinds = list(dict.fromkeys(entrant.kind for entrants in races.values() for entrant in entrants))
    span = _span([entrant.run for entrants in races.values() for entrant in entrants])
    for axes, (title, entrants) in zip(panels, races.items(), strict=True):
        medians = [statistics.median(each.reached_s for each in entrants if each.kind == kind) for kind in kinds]
        axes.set_title(f"{title}: {_told(medians)}", fontsize="medium")
        _set_time_axis(axes, span)
        axes.axhline(goal, color=GENERIC, linestyle="--", linewidth=1)
        for entrant in entrants:
            _draw_entrant(axes, entrant, color=f"C{kinds.index(entrant.kind)}", goal=goal)
        _draw_medians(axes, medians)
    panels[0].set_ylabel("accuracy, mean over nodes")
    _add_legend(picture, kinds, goal)
    return picture


def _span(runs: Sequence[RecordedRun]) -> _Span:
    # zero has no place on a log axis
    times = np.concatenate([series(run, "virtual_s") for run in runs])
    return _Span(float(times[times > 0].min()), float(times.max()))


def _set_time_axis(axes: Axes, span: _Span) -> None:
    axes.set_xscale("log")
    axes.set_xlim(span.first, span.last)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("virtual time in s")


def _draw_entrant(axes: Axes, entrant: Entrant, *, color: str, goal: float) -> None:
    times, accuracies = series(entrant.run, "virtual_s"), series(entrant.run, "test_accuracy")
    seen = times > 0
    axes.plot(times[seen], accuracies[seen], color=color, linewidth=1, alpha=0.8)
    axes.plot([entrant.reached_s], [goal], color=color, marker="o", markersize=5, linestyle="")


def _draw_medians(axes: Axes, medians: Sequence[float]) -> None:
    for place, median in enumerate(medians):
        axes.axvline(median, color=f"C{place}", linestyle=":", linewidth=1)


def _told(medians: Sequence[float]) -> str:
    first, *others = medians
    return ", ".join([f"{first:.1f} s", *(f"{other:.1f} s ({other / first:.2f}×)" for other in others)])


def _add_legend(picture: Figure, kinds: Sequence[str], goal: float) -> None:
    handles = [Line2D([], [], color=f"C{place}", marker="o", label=kind) for place, kind in enumerate(kinds)]
    handles.append(Line2D([], [], color=GENERIC, linestyle="--", label=f"goal {goal:g}"))
    picture.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize="small")
