"""A state-space model at four nodes: what does each gain by gossip that it would not learn alone?

definitions of HPO ┬ four organ systems, one a node ── shuffled ──> the nodes' | test: the terms of all four
                   └ of all others: public ──> a small Mamba, trained here ──> the start of all arms

python -m gossipfl.studies.mamba [--experiment FILE] [--output DIR] [--resume]
"""

import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.config.memorization import PretrainConfig
from gossipfl.core.rng import generator
from gossipfl.learning.pretraining import pretrained
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.statistics import estimate, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_here import open_here
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.study_options import end_with, study_options

SYSTEMS = (
    "Abnormality of metabolism/homeostasis",
    "Abnormality of the cardiovascular system",
    "Abnormality of the eye",
    "Abnormality of the nervous system",
)
LONGEST = 90
"""Characters of a definition."""
RECORDS, TEST = 120, 24
"""Terms of a node, and of its organ system in the test set."""
BASE = PretrainConfig(source="", vocabulary=512, layers=2, hidden=64, steps=100, batch_size=16, learning_rate=1e-2)


def prepare(loaded: LoadedExperiment) -> LoadedExperiment:
    """The experiment with its texts written and its Mamba made.

    Raises:
        DataError: the package with the definitions is not installed.
    """
    found = [row for row in distinct_definitions(load_hpo()) if len(row["response"]) <= LONGEST]
    records, test = deal(found)
    data = loaded.experiment.data
    for path, rows in ((data.source, records), (data.test, test)):
        file = loaded.folder / str(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_definitions(file, rows)
    public = [f"{row['prompt']}\n{row['response']}" for row in found if row["organ_system"] not in SYSTEMS]
    folder = pretrained(public, BASE, length=loaded.experiment.task.max_length, family="mamba", show=_show)
    return change_experiment(loaded, {"model.source": str(folder)}, source=str(loaded.path))


def deal(definitions: Sequence[Definition]) -> tuple[list[Definition], list[Definition]]:
    """The nodes' terms and those of the test, as many of each organ system; disjoint, the same every time."""
    records: list[Definition] = []
    test: list[Definition] = []
    for system in SYSTEMS:
        rows = [row for row in definitions if row["organ_system"] == system]
        order = generator(0, purpose=f"mamba {system}").permutation(len(rows)).tolist()
        chosen = [rows[place] for place in order[: TEST + RECORDS]]
        test += chosen[:TEST]
        records += chosen[TEST:]
    return records, test


def reading(found: Comparison) -> str:
    """A table: loss on the terms of all four organ systems, before and after."""
    arms: Mapping[str, ArmSummary] = {arm.name: arm for arm in found.arms}
    gossip = arms[found.terms.reference]
    before = {seed: done.run.evaluations[0][0].test_loss for seed, done in gossip.done.items()}
    rows = [["before", *_cells(before, before), "", ""]]
    for arm in found.arms:
        mean, worst = arm.values("mean_node"), arm.values("worst_node")
        apart = paired_difference(mean, gossip.values("mean_node"))
        interval = (
            "" if arm is gossip or apart.low is None else f"{apart.mean:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]"
        )
        sent = estimate(list(arm.values("bytes_per_node").values())).mean or 0.0
        rows.append([arm.name, *_cells(mean, worst), interval, f"{sent / 1e6:.2f}"])
    return markdown_table(("", "loss, mean node", "worst node", f"above {gossip.name}, paired", "MB sent a node"), rows)


def _cells(*figures: Mapping[int, float]) -> list[str]:
    return [f"{sum(values.values()) / len(values):.3f}" for values in figures]


def _show(step: int, steps: int, loss: float) -> None:
    if step % 20 == 0 or step == steps:
        sys.stderr.write(f"the base model: step {step} of {steps}, loss {loss:.3f}\n")


def main() -> NoReturn:
    """The command line."""
    options = study_options(__doc__, name="mamba")

    def work() -> str:
        loaded = prepare(load_experiment(options.experiment))
        found = compare(loaded, options.output, resume=options.resume, command=options.command, executor=open_here)
        return f"{reading(found)}\n\n{found.report}"

    end_with(work)


if __name__ == "__main__":
    main()
