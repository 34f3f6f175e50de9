"""A picture of a graph: circles with names, arrows where edges have a direction."""

from pathlib import Path

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gossipfl.config.graph_types import Graph
from gossipfl.errors import ConfigError
from gossipfl.report.pictures import save_picture

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
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    draw_graph_on(axes, graph)
    save_plot(figure, path)


def save_plot(figure: Figure, path: Path) -> None:
    """Writes a picture where `--plot` wants it.

    Raises:
        ConfigError: the ending is none of png, svg, pdf, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot: {path} should end in one of {', '.join(FORMATS)}")
    try:
        save_picture(figure, path)
    except OSError as error:
        raise ConfigError(f"--plot: {path} cannot be written: {error.strerror}") from None


def draw_graph_on(axes: Axes, graph: Graph) -> PathCollection:
    """Draws it on axes of its own; names only where there is room for them.

    Returns:
        The circles in the order of the graph's nodes, to be colored otherwise.
    """
    axes.set_axis_off()
    axes.set_aspect("equal")
    positions, size, labeled = _positions(graph), _node_size(graph), is_labeled(graph)
    circles = nx.draw_networkx_nodes(graph, positions, ax=axes, node_size=size, node_color=NODE_COLOR)
    width = 1.2 if labeled else 0.4
    nx.draw_networkx_edges(graph, positions, ax=axes, node_size=size, edge_color=EDGE_COLOR, width=width)
    if labeled:
        nx.draw_networkx_labels(graph, positions, ax=axes, font_size=8)
    return circles


def is_labeled(graph: Graph) -> bool:
    """There is room for names."""
    return graph.number_of_nodes() <= LARGEST_LABELED


def _node_size(graph: Graph) -> float:
    longest = max(len(str(node)) for node in graph)
    return max(300 + 60 * min(longest, 12), 500) if is_labeled(graph) else max(4, 4000 / graph.number_of_nodes())


def _positions(graph: Graph) -> dict[str, NDArray[np.float64]]:
    """Where the nodes are drawn: the better the layout, the more it costs."""
    count = graph.number_of_nodes()
    if count <= LARGEST_EXACT:
        return nx.kamada_kawai_layout(graph.to_undirected())
    if count <= LARGEST_SPRING:
        return nx.spring_layout(graph.to_undirected(), seed=0)
    return nx.circular_layout(graph)
