"""Curves of recorded runs: how good the nodes are and how far apart, one color a run."""

from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from gossipfl.report import measures
from gossipfl.report.measures import Measure, by_node, measure_of, series, span
from gossipfl.report.panels import make_panels
from gossipfl.report.recorded import RecordedRun

ABSCISSAS = {"step": "steps per node", "virtual_s": "virtual time in s", "bytes_per_node": "bytes sent per node"}
GENERIC = "#555555"
BAND_ALPHA = 0.2
MOST_MARKED = 50
"""Evaluations that are points on the line; more of them would hide it."""
DISTINCT = 10
"""Colors of the cycle; more runs take theirs from a range."""


def draw_measure(runs: Sequence[RecordedRun], figure: measures.Figure) -> Figure:
    """Accuracy or loss against steps, virtual time and bytes: mean over the nodes, worst to best node, mean model.

    Runs that are judged by something else are left out.
    """
    shown = {
        place: measure
        for place, measure in enumerate(map(measure_of, runs))
        if measure is not None and measure.figure == figure
    }
    picture, panels = make_panels(len(ABSCISSAS))
    for axes, (key, text) in zip(panels, ABSCISSAS.items(), strict=True):
        axes.set_xlabel(text)
        for place, measure in shown.items():
            _draw_run(axes, runs[place], measure, key, _color(place, len(runs)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[-1].xaxis.set_major_formatter(EngFormatter(unit="B"))
    panels[-1].xaxis.set_major_locator(MaxNLocator(4))
    same = len(set(shown.values())) == 1
    panels[0].set_ylabel(next(iter(shown.values())).text if same else figure)
    labels = {place: runs[place].label if same else f"{runs[place].label}, {shown[place].part}" for place in shown}
    _add_legend(picture, labels, len(runs), [_line("-", "mean over nodes"), _band(), _line("--", "mean model")])
    return picture


def draw_consensus(runs: Sequence[RecordedRun]) -> Figure:
    """Consensus distance against rounds, with the bound where one was recorded.

    A zero has no place on a log axis, and a bound far below all that was measured none in the picture.
    """
    picture, (axes,) = make_panels(1)
    axes.set_yscale("log", nonpositive="mask")
    axes.set_xlabel("exchange rounds")
    axes.set_ylabel("consensus distance")
    measured = [series(run, "consensus_distance") for run in runs]
    bounds = [series(run, "bound") for run in runs]
    for place, (run, distances, bound) in enumerate(zip(runs, measured, bounds, strict=True)):
        color, rounds = _color(place, len(runs)), series(run, "round")
        axes.plot(rounds, distances, color=color, marker=_marker(run))
        axes.plot(rounds, bound, color=color, linestyle="--")
    axes.set_ylim(
        bottom=0.5 * min(float(distances[_drawable(distances)].min(initial=np.inf)) for distances in measured)
    )
    bounded = any(measures.is_known(bound) for bound in bounds)
    styles = [_line("-", "measured"), _line("--", "bound of sync without loss: λ to the rounds")] if bounded else []
    _add_legend(picture, dict(enumerate(run.label for run in runs)), len(runs), styles)
    return picture


def has_distance(run: RecordedRun) -> bool:
    """There is something to draw on a log axis."""
    return bool(np.any(_drawable(series(run, "consensus_distance"))))


def _drawable(distances: measures.Values) -> NDArray[np.bool_]:
    return np.isfinite(distances) & (distances > 0)


def _draw_run(axes: Axes, run: RecordedRun, measure: Measure, key: str, color: str) -> None:
    places = series(run, key)
    low, high = span(by_node(run, measure.column))
    axes.fill_between(places, low, high, color=color, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(places, series(run, measure.column), color=color, marker=_marker(run))
    axes.plot(places, series(run, f"mean_model_{measure.figure}"), color=color, linestyle="--")


def _marker(run: RecordedRun) -> Literal[".", ""]:
    return "." if len(run.evaluations) <= MOST_MARKED else ""


def _color(place: int, count: int) -> str:
    if count <= DISTINCT:
        return f"C{place}"
    return to_hex(mpl.colormaps["turbo"](place / (count - 1)))


def _line(style: Literal["-", "--"], label: str) -> Line2D:
    return Line2D([], [], color=GENERIC, linestyle=style, label=label)


def _band() -> Patch:
    return Patch(color=GENERIC, alpha=BAND_ALPHA, linewidth=0, label="worst to best node")


def _add_legend(figure: Figure, labels: dict[int, str], count: int, styles: Sequence[Artist]) -> None:
    """Which run has which color, where there are several, and what the lines are."""
    runs = [Line2D([], [], color=_color(place, count), label=_plain(label)) for place, label in labels.items()]
    handles = [*(runs if count > 1 else []), *styles]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), fontsize="small")


def _plain(label: str) -> str:
    # a dollar would begin a formula, an underscore in front hides the label
    plain = label.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{plain}" if plain.startswith("_") else plain
