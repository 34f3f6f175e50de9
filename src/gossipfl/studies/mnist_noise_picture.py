"""The noise study as a picture: accuracy at the end against the ε of the run, a panel an owner of the noise.

A point is the mean over the seeds with its deviation; a dotted line is the same network without noise.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.panels import make_panels
from gossipfl.studies.mnist_noise_arms import FEDAVG, Arm, Scale, Whose
from gossipfl.studies.mnist_noise_claims import CHANCE, KINDS, OWNERS, Figures


def draw_noise(found: Comparison, scale: Scale) -> Figure:
    """Both panels."""
    figures = Figures(found)
    picture, panels = make_panels(len(OWNERS))
    for axes, (whose, title) in zip(panels, OWNERS.items(), strict=True):
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("ε of the run")
        axes.set_xscale("log")
        axes.axhline(CHANCE, color="gray", linewidth=1)
        for place, network in enumerate(scale.networks):
            if whose == "local" or network in FEDAVG:
                _draw(axes, figures, scale, network, whose, color=f"C{place}")
        axes.legend(fontsize="small")
    panels[0].set_ylabel("accuracy, mean over nodes")
    return picture


def _draw(axes: Axes, figures: Figures, scale: Scale, network: str, whose: Whose, *, color: str) -> None:
    arms = [figures.summary(Arm(network, whose, kind, epsilon)) for kind in KINDS for epsilon in scale.epsilons]
    points = sorted(point for arm in arms if (point := _point(arm)) is not None)
    quiet = figures.summary(Arm(network)).figures["mean_node"].mean
    if quiet is not None:
        axes.axhline(quiet, color=color, linestyle=":", linewidth=1)
    if points:
        epsilons, means, deviations = zip(*points, strict=True)
        axes.errorbar(epsilons, means, yerr=deviations, color=color, marker="o", capsize=2, label=network)


def _point(arm: ArmSummary) -> tuple[float, float, float] | None:
    """ε, accuracy and its deviation."""
    epsilon, accuracy = arm.figures["epsilon"].mean, arm.figures["mean_node"]
    if epsilon is None or accuracy.mean is None:
        return None
    return epsilon, accuracy.mean, accuracy.std or 0.0
