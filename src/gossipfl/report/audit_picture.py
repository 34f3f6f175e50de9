"""Lower bounds of ε beside the claim, by distance from the data; and how members are told from others."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from gossipfl.privacy.membership import LOW_FALSE_RATE, Roc

CLAIMED, SHOWN, CHANCE = "#d73027", "#4575b4", "#999999"
_SIDE_INCHES = 4.5
_LEAST_RATE = 1e-3


def draw_bounds(shown: Mapping[str, float], claimed: float | None, *, title: str) -> Figure:
    """A bar an observer, and a line at the claim.

    Args:
        shown: lower bound by the observer's name, nearest first.
        claimed: ε; None: there is no claim.
    """
    figure = Figure(figsize=(1.5 * _SIDE_INCHES, _SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.bar(list(shown), list(shown.values()), color=SHOWN, label="at least, as guesses show", width=0.6)
    axes.bar_label(bars, fmt="%.2f")
    if claimed is not None and math.isfinite(claimed):
        axes.axhline(claimed, color=CLAIMED, label=f"claimed: ε = {claimed:.2f}")
    axes.set_ylim(0, 1.15 * max(*shown.values(), claimed or 0.0, 0.5))
    axes.set_ylabel("ε of one record")
    axes.set_title(title)
    axes.legend()
    return figure


def draw_rocs(curves: Mapping[str, Roc], *, title: str) -> Figure:
    """True against false positives on logarithmic axes, where few false ones matter.

    Args:
        curves: by observer and attack.
    """
    figure = Figure(figsize=(1.5 * _SIDE_INCHES, _SIDE_INCHES), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        # a rate of 0 has no place on the axis
        places = [max(rate, _LEAST_RATE) for rate in curve.false_rate.tolist()]
        heights = [max(rate, _LEAST_RATE) for rate in curve.true_rate.tolist()]
        axes.step(places, heights, where="post", label=f"{name}: AUC {curve.auc:.3f}")
    axes.plot([_LEAST_RATE, 1], [_LEAST_RATE, 1], color=CHANCE, linestyle="--", label="chance")
    axes.axvline(LOW_FALSE_RATE, color=CHANCE, linestyle=":")
    axes.set(xscale="log", yscale="log", xlim=(_LEAST_RATE, 1), ylim=(_LEAST_RATE, 1.05))
    axes.set(xlabel="non-members called members", ylabel="members called members", title=title)
    axes.legend(fontsize="small", loc="lower right")
    return figure
