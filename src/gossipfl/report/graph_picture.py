"""A picture of a graph: circles with names, arrows where edges have a direction."""

from pathlib import Path

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gossipfl.config.graph_types import Graph
from gossipfl.errors import ConfigError

FORMATS = (".png", ".svg", ".pdf")
LARGEST_LABELED = 64
LARGEST_EXACT = 100
LARGEST_SPRING = 1000
SIDE_INCHES = 6.0
NODE_COLOR = "#9ecae1"
EDGE_COLOR = "#555555"


def draw_graph(graph: Graph, path: Path, *, title: str = "") -> None:
    """Writes the picture; the ending decides the format. Needs no display; equal graphs give equal pictures.

    Raises:
        ConfigError: the ending is none of png, svg, pdf, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot: {path} should end in one of {', '.join(FORMATS)}")
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_axis_off()
    axes.set_aspect("equal")
    _draw(graph, axes)
    try:
        # no date and no random ids, so that equal graphs give equal files
        with mpl.rc_context({"svg.hashsalt": "gossipfl"}):
            figure.savefig(path, dpi=150, metadata=_undated(path))
    except OSError as error:
        raise ConfigError(f"--plot: {path} cannot be written: {error.strerror}") from None


def _undated(path: Path) -> dict[str, str | None]:
    match path.suffix.lower():
        case ".svg":
            return {"Date": None}
        case ".pdf":
            return {"CreationDate": None}
        case _:
            return {}


def _draw(graph: Graph, axes: Axes) -> None:
    count = graph.number_of_nodes()
    labeled = count <= LARGEST_LABELED
    longest = max(len(str(node)) for node in graph)
    size = max(300 + 60 * min(longest, 12), 500) if labeled else max(4, 4000 / count)
    nx.draw_networkx(
        graph,
        _positions(graph),
        ax=axes,
        with_labels=labeled,
        node_size=size,
        node_color=NODE_COLOR,
        edge_color=EDGE_COLOR,
        width=1.2 if labeled else 0.4,
        font_size=8,
    )


def _positions(graph: Graph) -> dict[str, NDArray[np.float64]]:
    """Where the nodes are drawn: the better the layout, the more it costs."""
    count = graph.number_of_nodes()
    if count <= LARGEST_EXACT:
        return nx.kamada_kawai_layout(graph.to_undirected())
    if count <= LARGEST_SPRING:
        return nx.spring_layout(graph.to_undirected(), seed=0)
    return nx.circular_layout(graph)
