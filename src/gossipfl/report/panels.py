"""Panels side by side, as all curves have them."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INCHES = (4.0, 3.6)


def make_panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """A picture with as many panels in a row, each with a grid; they share the ordinate."""
    width, height = INCHES
    figure = Figure(figsize=(max(count * width, 1.5 * width), height), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for axes in panels:
        axes.grid(visible=True, alpha=0.3)
    return figure, list(panels)
