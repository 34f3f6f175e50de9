"""An LLM fine-tuned by organizations that share nothing: gossip, FedAvg, each alone, all data pooled; LoRA and core.

    data/hpo.jsonl ── compare ──> runs ──> held-out loss of each organization, before and after; bytes; sizes
                                  └─ adapter of each ring ── export, generate ──> text beside the base model's

python -m gossipfl.studies.hospitals [--quick] [--output DIR] [--resume]
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.learning.export import export
from gossipfl.learning.generation import Generation, generate
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import by_node
from gossipfl.report.tables import markdown_table
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.studies.compare import compare
from gossipfl.studies.corpora import distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import study_options

PROMPT = 'What does the medical term "Scoliosis" mean?'
MAX_NEW_TOKENS = 48
QUICK: Mapping[str, object] = {
    "training.phases": 2,
    "training.local_steps": 2,
    "simulation.evaluate_every": 2,
    "data.held_out": 0.01,
    "compare": {"seeds": [0], "arms": {"core-ring": {"driver": "gossip"}, "core-fedavg": {"driver": "fedavg"}}},
}
"""A look at the machinery: nothing is learned in four steps."""


def run_study(experiment: Path, output: Path, changes: Mapping[str, object], *, resume: bool = False) -> str:
    """Runs all arms and asks the trained adapters; the reading, as markdown, which is in the folder too.

    Raises:
        UserError: see `compare`.
    """
    write_terms(experiment.parent.parent / "data" / "hpo.jsonl")
    loaded = load_experiment(experiment)
    if changes:
        # the whole table, not its arms one by one
        without = change_experiment(loaded, {"compare": None}, source=str(experiment))
        loaded = change_experiment(without, changes, source=str(experiment))
    found = compare(loaded, output / "compare", resume=resume, command="scripts/hospitals", show=show_runs("hospitals"))
    answers = {arm.name: ask(loaded, arm, output) for arm in found.arms if arm.name.endswith("-ring") and arm.done}
    text = reading(found, loaded, answers)
    (output / "reading.md").write_text(text)
    return text


def write_terms(path: Path) -> None:
    """All definitions of the ontology; a file that is there stays."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_definitions(path, distinct_definitions(load_hpo()))


def ask(loaded: LoadedExperiment, arm: ArmSummary, output: Path) -> Generation:
    """Exports the mean adapter that an arm's first run ended with, and has it continue the prompt."""
    folder = output / "compare" / "runs" / arm.name / f"seed-{min(arm.done)}"
    experiment = load_experiment(folder / "config.yaml").experiment
    names = experiment.simulation.names
    adapted = load_adapted(experiment, DataSite(names[0], names, None, loaded.folder, loaded.folder))
    export(adapted, read_adapter(folder, adapted.spec), output / f"adapter-{arm.name}")
    return generate(output / f"adapter-{arm.name}", PROMPT, max_new_tokens=MAX_NEW_TOKENS, device="cpu")


def reading(found: Comparison, loaded: LoadedExperiment, answers: Mapping[str, Generation]) -> str:
    """Tables, and what the adapters say."""
    organizations = loaded.experiment.data.split.values
    rows = [row for arm in found.arms for row in _rows(arm, organizations)]
    head = ("arm", *(values[0] for values in organizations.values()), "mean", "bytes a node", "seconds")
    parts = ["Held-out loss of each organization, before → after training, first seed:", markdown_table(head, rows)]
    for name, answer in answers.items():
        lines = (("base model", answer.base_text), (f"{name}, sha256 {answer.adapter_sha256[:16]}", answer.text))
        parts += [f"`{PROMPT}`", markdown_table(("", "answer"), [(who, " ".join(text.split())) for who, text in lines])]
    return "\n\n".join(parts) + "\n"


def _rows(arm: ArmSummary, organizations: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    if not arm.done:
        fault = next(iter(arm.faults.values()))
        return [(arm.name, fault.status, *[""] * (len(organizations) + 2))]
    done = arm.done[min(arm.done)]
    losses = by_node(done.run, "own_loss")
    first, last = losses[0], losses[-1]
    cells = [_change(before, after) for before, after in zip(first, last, strict=True)]
    mean = _change(first.mean(), last.mean())
    figures = done.figures
    return [(arm.name, *cells, mean, f"{figures.bytes_per_node:,.0f}", f"{figures.seconds:.0f}")]


def _change(before: float, after: float) -> str:
    """Flower's clients are asked for the first time after a round: before it nothing is known of them."""
    return f"{'–' if np.isnan(before) else f'{before:.3f}'} → {after:.3f}"


def main() -> None:
    """Runs the study once and prints its reading."""
    options = study_options(__doc__, name="hospitals", quick="two arms, four steps: a look at the machinery")
    changes = QUICK if options.quick else {}
    sys.stdout.write(run_study(options.experiment, options.output, changes, resume=options.resume))


if __name__ == "__main__":
    main()
