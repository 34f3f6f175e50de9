"""All pictures of recorded runs.

accuracy, loss    against steps, virtual time and bytes      consensus   against rounds
graph             of each run, colored                       graph.gif   the same over time
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from gossipfl.errors import DataError
from gossipfl.report.animation import LARGEST_ANIMATED, animate
from gossipfl.report.curves import draw_consensus, draw_measure, has_distance
from gossipfl.report.measures import figures_of
from gossipfl.report.pictures import save_formats
from gossipfl.report.recorded import RecordedRun
from gossipfl.report.run_graph import LARGEST_EDGES, draw_run_graph, has_too_many_edges


@dataclass(frozen=True, slots=True)
class Pictures:
    """What was drawn.

    Attributes:
        files: in the order drawn.
        notes: what was left out, and why.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def draw_runs(runs: Sequence[RecordedRun], folder: Path) -> Pictures:
    """Writes every picture that what was recorded allows; earlier ones of the same name are overwritten.

    Raises:
        DataError: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [path for name, figure in _figures(runs) for path in save_formats(figure, folder, name)]
        files += [path for run in runs for path in _animated(run, folder, _graph_name(run, runs))]
    except OSError as error:
        raise DataError(f"--output {folder}: {error.strerror}") from error
    return Pictures(tuple(files), tuple(_notes(runs)))


def _figures(runs: Sequence[RecordedRun]) -> Iterator[tuple[str, Figure]]:
    for figure in figures_of(runs):
        yield figure, draw_measure(runs, figure)
    if any(has_distance(run) for run in runs):
        yield "consensus", draw_consensus(runs)
    for run in runs:
        yield _graph_name(run, runs), draw_run_graph(run)


def _animated(run: RecordedRun, folder: Path, name: str) -> list[Path]:
    if len(run.graph) > LARGEST_ANIMATED:
        return []
    path = folder / f"{name}.gif"
    animate(run, path)
    return [path]


def _graph_name(run: RecordedRun, runs: Sequence[RecordedRun]) -> str:
    return "graph" if len(runs) == 1 else f"graph-{run.label.replace('/', '-')}"


def _notes(runs: Sequence[RecordedRun]) -> Iterator[str]:
    for run in runs:
        if len(run.graph) > LARGEST_ANIMATED:
            yield f"{run.label}: no animation of {len(run.graph)} nodes, only up to {LARGEST_ANIMATED}"
        if has_too_many_edges(run.graph):
            yield f"{run.label}: no edges in the graph, {run.graph.number_of_edges()} are more than {LARGEST_EDGES}"
        if not has_distance(run):
            yield f"{run.label}: no consensus distance above zero"
