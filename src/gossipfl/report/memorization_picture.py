"""What was recited, drawn: by arm, and by distance from whoever owns the passages."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gossipfl.report.memorization import ONCE, OTHERS, OWNER, REPEATED, ArmMemory, Memorization, Rates
from gossipfl.report.pictures import save_formats

NAME = "memorization"
BARS = ((OWNER, REPEATED, "#d73027"), (OTHERS, REPEATED, "#fdae61"), (OWNER, ONCE, "#4575b4"))
"""Who holds the model, which passages, the color."""
ROW_INCHES = 0.45


def draw_memorization(found: Memorization, folder: Path) -> list[Path]:
    """Writes `memorization.png` and `.svg`.

    Raises:
        OSError: a file cannot be written.
    """
    figure = Figure(figsize=(12, 1.5 + ROW_INCHES * len(found.arms)), layout="constrained")
    bars, lines = figure.subplots(1, 2)
    _by_arm(bars, found)
    _by_distance(lines, found)
    return save_formats(figure, folder, NAME)


def _by_arm(axes: Axes, found: Memorization) -> None:
    height = 0.8 / len(BARS)
    for place, (holder, count, color) in enumerate(BARS):
        known = [(row, arm.holders[holder][count]) for row, arm in enumerate(found.arms) if _has(arm, holder, count)]
        at = [row + (place - 1) * height for row, _ in known]
        means, errors = zip(*(_bar(rates) for _, rates in known), strict=True) if known else ((), ())
        low_high = [[low for low, _ in errors], [high for _, high in errors]]
        axes.barh(at, means, height, xerr=low_high, color=color, label=f"{holder}, {count}", error_kw={"lw": 0.8})
    axes.set_yticks(range(len(found.arms)), [arm.name for arm in found.arms])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"part of the passages recited at the worst prompt (BLEU ≥ {found.bleu:g})")
    axes.legend(loc="lower right")


def _by_distance(axes: Axes, found: Memorization) -> None:
    for arm in found.arms:
        places = [place for place in arm.distances if REPEATED in arm.distances[place]]
        if places:
            means = [_bar(arm.distances[place][REPEATED])[0] for place in places]
            axes.plot(places, means, marker="o", label=arm.name)
    axes.set_xticks(range(found.farthest + 1))
    axes.set_ylim(0, 1)
    axes.set_xlabel("links from the owner")
    axes.set_ylabel("part of the repeated passages recited")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")


def _has(arm: ArmMemory, holder: str, count: str) -> bool:
    return count in arm.holders.get(holder, {})


def _bar(rates: Rates) -> tuple[float, tuple[float, float]]:
    """Its length, and how far the interval reaches to both sides, within 0 and 1."""
    found = rates.figures["bleu_worst"]
    mean = found.mean or 0.0
    if found.low is None or found.high is None:
        return mean, (0.0, 0.0)
    return mean, (mean - max(0.0, found.low), min(1.0, found.high) - mean)
