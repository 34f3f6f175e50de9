"""The graph of a recorded run: each node in the color of its accuracy, or of its distance from the mean without one.

A node that was down before it had finished is hollow; one of which nothing is known is gray. Between evaluations of a
node its color stays.
"""

import itertools
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from gossipfl.config.graph_types import Graph
from gossipfl.report.graph_picture import SIDE_INCHES, draw_graph_on, is_labeled
from gossipfl.report.measures import Values, by_node, measure_of
from gossipfl.report.recorded import RecordedRun

LARGEST_EDGES = 20_000
"""With more the picture is black and its file large: only the nodes are drawn."""
COLORS = mpl.colormaps["viridis"].with_extremes(bad="lightgray")
DECADES = 6
"""Of distances that are told apart: what is smaller has the lowest color."""


@dataclass(frozen=True, slots=True)
class Coloring:
    """Colors of the nodes over the evaluations.

    Attributes:
        text: what they stand for.
        values: (evaluations, nodes), NaN before the first that is known.
    """

    text: str
    values: Values


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn graph whose nodes can be colored again.

    Attributes:
        circles: in the order of the run's nodes.
        scale: from values to colors.
    """

    figure: Figure
    axes: Axes
    circles: PathCollection
    scale: ScalarMappable


def draw_run_graph(run: RecordedRun) -> Figure:
    """The graph as it was at the last evaluation."""
    coloring = coloring_of(run)
    scene = build_scene(run, coloring, coloring.values[-1])
    show(scene, run, coloring, len(run.evaluations) - 1)
    return scene.figure


def coloring_of(run: RecordedRun) -> Coloring:
    """By accuracy, otherwise by distance."""
    measure = measure_of(run)
    if measure is not None and measure.figure == "accuracy":
        return Coloring(measure.text, _kept(by_node(run, measure.column)))
    return Coloring("distance from the mean", by_node(run, "distance"))


def build_scene(run: RecordedRun, coloring: Coloring, values: Values) -> Scene:
    """The graph and a color bar that spans the values."""
    figure = Figure(figsize=(SIDE_INCHES * 1.15, SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    circles = draw_graph_on(axes, _thinned(run.graph))
    circles.set_linewidth(2.0 if is_labeled(run.graph) else 0.5)
    for name in axes.texts:
        name.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    norm = _distances(values) if coloring.text.startswith("distance") else _plain(values)
    scale = ScalarMappable(norm, COLORS)
    figure.colorbar(scale, ax=axes, label=coloring.text, shrink=0.8)
    return Scene(figure, axes, circles, scale)


def show(scene: Scene, run: RecordedRun, coloring: Coloring, place: int) -> None:
    """Colors the nodes as they were at one evaluation, and says when that was."""
    summary, columns = run.evaluations[place]
    colors = scene.scale.to_rgba(np.ma.masked_invalid(coloring.values[place]))
    present = np.logical_or(columns.up, columns.finished)
    insides = np.where(present[:, None], colors, 1.0)
    scene.circles.set_edgecolor([(r, g, b, a) for r, g, b, a in colors.tolist()])
    scene.circles.set_facecolor([(r, g, b, a) for r, g, b, a in insides.tolist()])
    scene.axes.set_title(f"virtual time {summary.virtual_s:.2f} s, round {summary.round:.1f}")


def has_too_many_edges(graph: Graph) -> bool:
    """They are left out."""
    return graph.number_of_edges() > LARGEST_EDGES


def _thinned(graph: Graph) -> Graph:
    if not has_too_many_edges(graph):
        return graph
    bare = Graph()
    bare.add_nodes_from(graph)
    return bare


def _kept(values: Values) -> Values:
    """What is unknown is as it was before."""
    kept = values.copy()
    for before, row in itertools.pairwise(kept):
        unknown = np.isnan(row)
        row[unknown] = before[unknown]
    return kept


def _plain(values: Values) -> Normalize:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def _distances(values: Values) -> Normalize:
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return Normalize(0.0, 1.0)
    high = float(known.max())
    low = max(float(known.min()), high / 10**DECADES)
    return LogNorm(low, high if high > low else 10 * low, clip=True)
