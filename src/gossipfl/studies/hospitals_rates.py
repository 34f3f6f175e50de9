"""Searches the learning rates of the hospitals study, gossip on the ring with each, on a seed that is not the study's.

python -m gossipfl.studies.hospitals_rates [--output DIR] [--resume]
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import load_experiment
from gossipfl.report import compare_cells as cells
from gossipfl.report.tables import markdown_table
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.hospitals import write_terms
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, end_with, study_options

SEED = 101
CANDIDATES: Mapping[str, Sequence[float]] = {"core": (0.005, 0.02, 0.08), "lora": (0.0003, 0.001, 0.003)}
"""Learning rates by adapter."""
RANKS: Mapping[str, int] = {"core": 16, "lora": 8}


def search(experiment: Path, output: Path, terms: Terms) -> str:
    """Mean held-out loss by adapter and rate, as markdown; the best of each belongs in the experiment.

    Raises:
        UserError: see `compare`.
    """
    loaded = with_table(load_experiment(experiment), {"seeds": [SEED], "arms": arms()})
    write_terms(loaded.folder / str(loaded.experiment.data.source))
    found = compare(loaded, output, resume=terms.resume, command=terms.command, show=show_runs("rates"))
    return markdown_table(("arm", "held-out loss"), [(arm.name, cells.cell(arm, "mean_node")) for arm in found.arms])


def arms() -> dict[str, object]:
    """The table's arms: adapters times rates."""
    return {
        f"{kind}-{rate:g}": {
            "driver": "gossip",
            "set": {"adapter.kind": kind, "adapter.rank": RANKS[kind], "training.learning_rate": rate},
        }
        for kind, rates in CANDIDATES.items()
        for rate in rates
    }


def main() -> NoReturn:
    """Searches once and prints the table."""
    options = study_options(__doc__, name="hospitals")
    terms = Terms(options.command, options.resume)
    end_with(lambda: search(options.experiment, options.output, terms))


if __name__ == "__main__":
    main()
