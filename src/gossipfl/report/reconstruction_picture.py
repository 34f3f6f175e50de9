"""What one node could find out of the others, drawn on the graph."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gossipfl.config.graph_types import Graph
from gossipfl.report.graph_picture import SIDE_INCHES, draw_graph_on, save_plot

OBSERVER, KNOWN, HIDDEN = "#fdd835", "#d73027", "#a6d96a"
PARTLY = "#fdae61"


def draw_reconstruction(graph: Graph, observer: str, determined: Mapping[str, float], path: Path) -> None:
    """Writes the picture; the ending decides the format.

    Args:
        determined: part of each other node's contributions that the observer can solve for.

    Raises:
        ConfigError: the ending is none of png, svg, pdf, or the file cannot be written.
    """
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"What {observer} can solve for from all it receives")
    circles = draw_graph_on(axes, graph)
    circles.set_facecolor([OBSERVER if name == observer else _color(determined[name]) for name in graph])
    legend = {"observer": OBSERVER, "all of it": KNOWN, "some of it": PARTLY, "nothing": HIDDEN}
    axes.legend(handles=[Patch(color=color, label=label) for label, color in legend.items()], loc="lower right")
    save_plot(figure, path)


def _color(part: float) -> str:
    if part >= 1:
        return KNOWN
    return PARTLY if part > 0 else HIDDEN
