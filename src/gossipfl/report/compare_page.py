"""The report of a comparison: one HTML file with all in it, for a browser without a network.

The page's policy forbids it to fetch anything; what is not a figure of a run is the configuration and how it was run.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import dump_experiment
from gossipfl.report import compare_cells
from gossipfl.report.compare_pictures import MARKERS, draw_against, draw_differences, draw_epsilon
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.inline_svg import ARM_COLORS, inline_svg, page_style
from gossipfl.report.runs import read_versions


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a comparison comes from.

    Attributes:
        command: the exact command line.
        experiment: the base, with the table of arms.
        at_once: runs at a time: they share this machine's cores, and real seconds say so.
    """

    command: str
    experiment: Experiment
    at_once: int


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the page.

    Attributes:
        text: what it shows, for those who do not see it.
    """

    name: str
    title: str
    text: str
    svg: Markup


def write_page(comparison: Comparison, origin: Origin) -> None:
    """Writes the report.

    Raises:
        DataError: a run's `versions.json` is damaged.
        OSError: the file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("gossipfl.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("compare.html").render(
        cells=compare_cells,
        comparison=comparison,
        config=dump_experiment(origin.experiment),
        legend=[_key(place, arm) for place, arm in enumerate(comparison.arms)],
        machine=f"{platform.system()} on {platform.machine()}",
        origin=origin,
        plots=list(_plots(comparison)),
        versions=_versions(comparison),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    comparison.report.write_text(page, encoding="utf-8")


def _key(place: int, arm: ArmSummary) -> dict[str, str]:
    return {
        "name": arm.name,
        "color": f"--arm-{place % ARM_COLORS}",
        "marker": list(MARKERS.values())[place % len(MARKERS)],
    }


def _plots(comparison: Comparison) -> Iterator[Plot]:
    if comparison.measure is None:
        return
    figure = comparison.measure.figure
    with page_style():
        for key, title in compare_cells.AGAINST.items():
            yield _plot(key, f"{figure.capitalize()} against {title}", draw_against(comparison, key))
        for name, title, drawn in (
            ("epsilon", f"{figure.capitalize()} against ε", draw_epsilon(comparison)),
            ("differences", f"Differences to {comparison.terms.reference}", draw_differences(comparison)),
        ):
            if drawn is not None:
                yield _plot(name, title, drawn)


def _plot(name: str, title: str, figure: Figure) -> Plot:
    return Plot(name, title, compare_cells.DESCRIPTIONS[name], inline_svg(figure, name))


def _versions(comparison: Comparison) -> Mapping[str, str]:
    """Of the runs; where they were done with several, all of them."""
    found: dict[str, set[str]] = {}
    for arm in comparison.arms:
        for done in arm.done.values():
            for package, version in read_versions(done.result.output).items():
                found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(versions)) for package, versions in sorted(found.items())}
