"""Studies that are grids of arms: a search of each kind's learning rate, all arms with all seeds, and a reading.

    definitions ── data/… ── compare, a part at a time ──> reading.md
    --rates: the candidates instead, on a seed that is not the study's

What is compared is the study's own: `Grid`.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import Comparison
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.corpora import distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, command_line, end_with

READING = "reading.md"
SEARCHED = {"mean_node": "accuracy, mean node", "worst_node": "worst node", "mean_model": "mean model"}
Arms = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part:
    """Arms that are run with the same seeds.

    Attributes:
        folder: within the study's; empty: the study's itself.
        arms: entries of `compare.arms`.
    """

    arms: Arms
    seeds: tuple[int, ...]
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """What a study compares.

    Attributes:
        parts: in the order in which they are run.
        candidates: entries of `compare.arms`, by adapter and rate, for the search.
        search_seed: of a split, a start and batches that the study has not.
        reading: the parts' comparisons as markdown.
        beside: what is measured beside the runs, in the study's folder, as markdown; again it only reads what is there.
    """

    parts: tuple[Part, ...]
    candidates: Arms
    search_seed: int
    reading: Callable[[Sequence[Comparison]], str]
    beside: Callable[[LoadedExperiment, Path], str] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How a grid is run.

    Attributes:
        jobs: runs at a time; None: as many as there are cores.
    """

    output: Path
    terms: Terms
    jobs: int | None = None

    def table(self, part: Part) -> dict[str, object]:
        """The section `compare`."""
        return {"arms": dict(part.arms), "seeds": list(part.seeds), "jobs": self.jobs}


def run_grid(loaded: LoadedExperiment, grid: Grid, wish: Wish) -> str:
    """Runs all arms with all seeds; the reading, as markdown, which is in the folder too.

    Raises:
        UserError: see `compare`.
    """
    text = grid.reading([_compare(loaded, part, wish, show="arms") for part in grid.parts])
    if grid.beside is not None:
        text += f"\n{grid.beside(loaded, wish.output)}\n"
    (wish.output / READING).write_text(text)
    return text


def search_rates(loaded: LoadedExperiment, grid: Grid, wish: Wish) -> str:
    """Accuracy by candidate, as markdown; the best rate of each kind belongs into the study's table of rates.

    Raises:
        UserError: see `compare`.
    """
    # at the beginning and at the end
    rarely = {"simulation.evaluate_every": loaded.experiment.training.phases}
    changed = change_experiment(loaded, rarely, source=str(loaded.path))
    found = _compare(changed, Part(grid.candidates, (grid.search_seed,)), wish, show="rates")
    rows = [(arm.name, *(cells.cell(arm, name) for name in SEARCHED)) for arm in found.arms]
    return markdown_table(("adapter and rate", *SEARCHED.values()), rows)


def _compare(loaded: LoadedExperiment, part: Part, wish: Wish, *, show: str) -> Comparison:
    changed, terms = with_table(loaded, wish.table(part)), wish.terms
    return compare(changed, wish.output / part.folder, resume=terms.resume, command=terms.command, show=show_runs(show))


def write_data(loaded: LoadedExperiment) -> None:
    """Definitions under the experiment's labels, each once; a file that is there stays."""
    path = loaded.folder / str(loaded.experiment.data.source)
    if path.exists():
        return
    labels = loaded.experiment.task.labels
    path.parent.mkdir(parents=True, exist_ok=True)
    write_definitions(path, (row for row in distinct_definitions(load_hpo()) if row["organ_system"] in labels))


def main_of(
    grid: Callable[[tuple[str, ...]], Grid], *, name: str, adapters: Sequence[str], description: str | None
) -> NoReturn:
    """Runs the study, or its search, once and prints its reading.

    Args:
        grid: makes it from the adapters wished.
        name: of the experiment's file, and of the folder where none is given.
        adapters: all that the study knows.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, default=Path(f"experiments/{name}.yaml"))
    parser.add_argument("--rates", action="store_true", help="search learning rates instead")
    parser.add_argument("--adapters", default=",".join(adapters), help="default: %(default)s")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: as many as there are cores")
    parser.add_argument("--output", type=Path, help=f"default: runs/{name}-TIME")
    parser.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    options = parser.parse_args()

    def work() -> str:
        loaded = load_experiment(options.experiment)
        write_data(loaded)
        wish = Wish(options.output or default_folder(name), Terms(command_line(), options.resume), options.jobs)
        return (search_rates if options.rates else run_grid)(loaded, grid(tuple(options.adapters.split(","))), wish)

    end_with(work)
