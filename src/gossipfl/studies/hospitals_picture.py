"""The hospitals study as a picture: each organization's held-out loss, before and after, arm beside arm."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gossipfl.report.comparison import Comparison
from gossipfl.report.measures import by_node
from gossipfl.report.panels import make_panels

WIDTH = 0.8
"""Of the place of one organization, which is 1."""
MARKERS = "os^D"


def draw_losses(found: Comparison, organizations: Sequence[str]) -> Figure:
    """A point is an arm's mean over the seeds; the gray line is the loss before training.

    Args:
        organizations: what each node is called, in the nodes' order.
    """
    picture, (axes,) = make_panels(1)
    picture.set_size_inches(9, 4)
    arms = [arm for arm in found.arms if arm.done]
    places = np.arange(len(organizations))
    for number, arm in enumerate(arms):
        losses = np.mean([by_node(done.run, "own_loss")[[0, -1]] for done in arm.done.values()], axis=0)
        if not np.isnan(losses[0]).any():
            axes.hlines(losses[0], places - WIDTH / 2, places + WIDTH / 2, color="gray", linewidth=1)
        shift = WIDTH * ((number + 0.5) / len(arms) - 0.5)
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(places + shift, losses[-1], color=f"C{number}", marker=marker, linestyle="", label=arm.name)
    axes.set_xticks(places, organizations, fontsize="small")
    axes.set_ylabel("loss on own held-out records")
    picture.legend(loc="outside right upper", fontsize="small")
    return picture
