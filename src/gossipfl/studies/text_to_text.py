"""A small T5 at four nodes, two organ systems of HPO each: what does it say of terms of all eight?

    prompt    a term and its definition          response   its organ system, in words: T5's text to text
    nodes     two organ systems each: of the other six a node that is alone never hears
    test      terms of all eight that nobody trains on

python -m gossipfl.studies.text_to_text [--experiment FILE] [--seeds N] [--output DIR]
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NoReturn

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.cache import write_atomically
from gossipfl.learning.data import DataSite, load_test
from gossipfl.learning.device import choose_device
from gossipfl.learning.learner import judged
from gossipfl.learning.small_t5 import write_small_t5
from gossipfl.learning.tasks import make_task
from gossipfl.report.runs import read_runs
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.corpora import Definition, distinct_definitions, load_hpo
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.study_options import end_with, seeds_parser
from gossipfl.studies.whole_run import simulate_to_the_end

NODES, SYSTEMS = 4, 8
TRAIN, TEST = 150, 25
"""Terms of each organ system."""
ARMS = {"gossip": (), "alone": ("gossip.protocol=alone",)}
BEFORE = "before"
FIGURES = {
    "loss": "test_loss",
    "exact match": "test_exact_match",
    "ROUGE-L": "test_rouge_l",
    "chrF": "test_chrf",
}
"""Column of the table to key of a run's lines."""
VOCABULARY = 1024
Row = Mapping[str, str]
Found = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed.

    Attributes:
        arms: figures by arm, mean over the nodes on the common test set.
    """

    seed: int
    arms: Mapping[str, Found]


def deal(definitions: Sequence[Definition], *, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, with the node that has them, and rows to test by, of the most frequent organ systems."""
    frequent = [name for name, _ in Counter(row["organ_system"] for row in definitions).most_common(SYSTEMS)]
    train: list[Row] = []
    test: list[Row] = []
    for place, system in enumerate(sorted(frequent)):
        rows = [row for row in definitions if row["organ_system"] == system]
        order = generator(seed, purpose=f"terms of {system}").permutation(len(rows)).tolist()
        asked = [_asked(rows[number]) for number in order[: TRAIN + TEST]]
        test += asked[:TEST]
        train += [{**row, "node": f"n{place % NODES}"} for row in asked[TEST:]]
    return train, test


def _asked(row: Definition) -> Row:
    term = row["prompt"].partition('"')[2].rpartition('"')[0]
    name = row["organ_system"].removeprefix("Abnormality of ").removeprefix("the ")
    return {"prompt": f"{term}: {row['response']}", "response": name}


def write_files(folder: Path, *, seed: int) -> None:
    """Data and a model with random weights, as transformers keeps one."""
    train, test = deal(distinct_definitions(load_hpo()), seed=seed)
    for name, rows in {"train": train, "test": test}.items():
        write_atomically(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    texts = [f"{row['prompt']}\n{row['response']}" for row in train]
    write_small_t5(folder / "t5", texts, vocabulary=VOCABULARY, seed=seed)


def run_seed(experiment: Path, output: Path, *, seed: int) -> Outcome:
    """All arms of one seed.

    Args:
        output: made; it keeps data, model and runs.

    Raises:
        UserError: whatever is wrong with the experiment; or the package with the terms is not installed.
    """
    output.mkdir()
    write_files(output, seed=seed)
    own = {"model.source": output / "t5", "data.source": output / "train.jsonl", "data.test": output / "test.jsonl"}
    changes: dict[str, Any] = {"seed": seed, **{field: str(path.resolve()) for field, path in own.items()}}
    arms: dict[str, Found] = {}
    for arm, sets in ARMS.items():
        loaded = change_experiment(load_experiment(experiment, sets), changes, source=str(experiment))
        if not arms:
            arms[BEFORE] = _before(loaded)
        simulate_to_the_end(loaded, output / arm)
        (run,) = read_runs([output / arm])
        last = run.evaluations[-1].summary
        arms[arm] = {name: last.figure(key) for name, key in FIGURES.items()}
    return Outcome(seed, arms)


def _before(loaded: LoadedExperiment) -> Found:
    """Figures of the state that all nodes begin with."""
    experiment = loaded.experiment
    names = experiment.simulation.names
    adapted = load_adapted(experiment, DataSite(names[0], names, None, loaded.folder, loaded.folder))
    device = choose_device(experiment.training)
    adapted.module.to(device)
    examples = load_test(experiment, loaded.folder, adapted.tokenizer)
    if examples is None:
        raise ConfigError("data.test: a common test set was expected")
    task = make_task(experiment.task)
    found = judged(
        adapted, adapted.module, task, examples.to(device), micro_batch=experiment.training.micro_batch
    ).figures()
    return {name: found[key.removeprefix("test_")] or 0.0 for name, key in FIGURES.items()}


def table(found: Sequence[Outcome]) -> str:
    """As Markdown, a row an arm: means and standard deviations over the seeds."""
    rows = [[arm, *_cells([outcome.arms[arm] for outcome in found])] for arm in (BEFORE, *reversed(ARMS))]
    return markdown_table(["", *FIGURES], rows)


def _cells(figures: Sequence[Found]) -> Iterator[str]:
    for name in FIGURES:
        values = [each[name] for each in figures]
        yield f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def run_study(experiment: Path, seeds: int, output: Path) -> str:
    """The table, which is in the folder too, as JSON.

    Raises:
        UserError: whatever is wrong with the experiment, the number of seeds or the folder.
    """
    if seeds < 1:
        raise ConfigError("--seeds: one seed at least was expected")
    make_new_folder(output)
    found = [run_seed(experiment, output / str(seed), seed=seed) for seed in range(seeds)]
    (output / "result.json").write_text(json_text(found) + "\n")
    return table(found)


def main() -> NoReturn:
    """Runs the study once and prints its table."""
    given = seeds_parser(__doc__, name="text-to-text", seeds=3).parse_args()
    end_with(
        lambda: run_study(given.experiment, given.seeds, given.output or default_folder("text-to-text")), resumes=False
    )


if __name__ == "__main__":
    main()
