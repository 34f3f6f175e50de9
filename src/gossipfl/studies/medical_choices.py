"""Topologies, adapters and codecs on medical definitions, all at equal local steps.

    HPO ── data/hpo-systems.jsonl ── compare ──> accuracy, bytes, steps to 90% of the best
    --rates: the learning rate of each adapter, on a seed that is not the study's

python -m gossipfl.studies.medical_choices [--rates] [--adapters lora,core] [--jobs N] [--output DIR] [--resume]
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.report import compare_cells as cells
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.corpora import distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.medical_choices_arms import ADAPTERS, SEARCH_SEED, SEEDS, arms_of, candidates
from gossipfl.studies.medical_choices_reading import reading
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, command_line, end_with

NAME = "medical-choices"
READING = "reading.md"
SEARCHED = {"mean_node": "accuracy, mean node", "worst_node": "worst node", "mean_model": "mean model"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is run, and how.

    Attributes:
        adapters: of `ADAPTERS`; a study that is gone on with may take more of them.
        jobs: runs at a time; None: as many as there are cores.
    """

    output: Path
    terms: Terms
    adapters: tuple[str, ...] = ADAPTERS
    jobs: int | None = None

    def table(self, arms: Mapping[str, object], seeds: tuple[int, ...]) -> dict[str, object]:
        """The section `compare`."""
        return {"arms": dict(arms), "seeds": list(seeds), "jobs": self.jobs}


def run_study(loaded: LoadedExperiment, wish: Wish) -> str:
    """Runs all arms with all seeds; the reading, as markdown, which is in the folder too.

    Raises:
        UserError: see `compare`.
    """
    arms = {arm.name: arm.as_config() for arm in arms_of(wish.adapters)}
    loaded = with_table(loaded, wish.table(arms, SEEDS))
    terms = wish.terms
    found = compare(loaded, wish.output, resume=terms.resume, command=terms.command, show=show_runs("choices"))
    text = reading(found)
    (wish.output / READING).write_text(text)
    return text


def search(loaded: LoadedExperiment, wish: Wish) -> str:
    """Accuracy by adapter and learning rate, as markdown; the best of each belongs into `RATES`.

    Raises:
        UserError: see `compare`.
    """
    # at the beginning and at the end
    rarely = {"simulation.evaluate_every": loaded.experiment.training.phases}
    changed = change_experiment(loaded, rarely, source=str(loaded.path))
    changed = with_table(changed, wish.table(candidates(wish.adapters), (SEARCH_SEED,)))
    terms = wish.terms
    found = compare(changed, wish.output, resume=terms.resume, command=terms.command, show=show_runs("rates"))
    rows = [(arm.name, *(cells.cell(arm, name) for name in SEARCHED)) for arm in found.arms]
    return markdown_table(("adapter and rate", *SEARCHED.values()), rows)


def write_data(loaded: LoadedExperiment) -> None:
    """Definitions under the experiment's labels, each once; a file that is there stays."""
    path = loaded.folder / str(loaded.experiment.data.source)
    if path.exists():
        return
    labels = loaded.experiment.task.labels
    path.parent.mkdir(parents=True, exist_ok=True)
    write_definitions(path, (row for row in distinct_definitions(load_hpo()) if row["organ_system"] in labels))


def main() -> NoReturn:
    """Runs the study, or the search, once and prints its reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, default=Path(f"experiments/{NAME}.yaml"))
    parser.add_argument("--rates", action="store_true", help="search learning rates instead")
    parser.add_argument("--adapters", default=",".join(ADAPTERS), help="default: %(default)s")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: as many as there are cores")
    parser.add_argument("--output", type=Path, help=f"default: runs/{NAME}-TIME")
    parser.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    options = parser.parse_args()

    def work() -> str:
        loaded = load_experiment(options.experiment)
        write_data(loaded)
        output = options.output or default_folder(NAME)
        wish = Wish(output, Terms(command_line(), options.resume), tuple(options.adapters.split(",")), options.jobs)
        return (search if options.rates else run_study)(loaded, wish)

    end_with(work)


if __name__ == "__main__":
    main()
