"""An LLM fine-tuned by organizations that share nothing: gossip, FedAvg, each alone, all data pooled; LoRA and core.

    data/hpo.jsonl ── compare ──> runs ──> held-out loss of each organization, before and after; bytes; sizes
                                  └─ adapter of each ring ── export, generate ──> text beside the base model's

python -m gossipfl.studies.hospitals [--quick] [--output DIR] [--resume]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment, change_experiment, load_experiment
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.learning.export import export
from gossipfl.learning.generation import generate
from gossipfl.report.comparison import ArmSummary
from gossipfl.report.pictures import save_formats
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.corpora import distinct_definitions, load_hpo, write_definitions
from gossipfl.studies.hospitals_picture import draw_losses
from gossipfl.studies.hospitals_reading import Answer, reading
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, check_output, end_with, study_options

PROMPT = 'What does the medical term "Scoliosis" mean?'
MAX_NEW_TOKENS = 48
COMMON = "Abnormality of "
"""What the names of all organ systems begin with."""
QUICK: Mapping[str, object] = {
    "training.phases": 2,
    "training.local_steps": 2,
    "simulation.evaluate_every": 2,
    "data.held_out": 0.01,
}
"""A look at the machinery: little is learned in four steps."""
QUICK_TABLE: Mapping[str, object] = {
    "seeds": [0],
    "arms": {"core-ring": {"driver": "gossip"}, "core-fedavg": {"driver": "fedavg"}},
}


def run_study(experiment: Path, output: Path, terms: Terms, *, quick: bool = False) -> str:
    """Runs all arms and asks the trained adapters; the reading, as markdown, which is in the folder too.

    Raises:
        UserError: see `compare`.
    """
    check_output(output, resume=terms.resume)
    loaded = load_experiment(experiment)
    write_terms(loaded.folder / str(loaded.experiment.data.source))
    if quick:
        loaded = with_table(change_experiment(loaded, QUICK, source=str(experiment)), QUICK_TABLE)
    folder, show = output / "compare", show_runs("hospitals")
    found = compare(loaded, folder, resume=terms.resume, command=terms.command, show=show)
    answers = [ask(loaded, arm, output) for arm in found.arms if arm.name.endswith("-ring") and arm.done]
    whole = change_experiment(loaded, {"compare": None, "adapter.kind": "full"}, source=str(experiment))
    model_values = _adapted(whole.experiment, loaded).spec.size
    text = reading(found, loaded.experiment.data.split.values, answers, model_values)
    (output / "reading.md").write_text(text)
    systems = [values[0].removeprefix(COMMON) for values in loaded.experiment.data.split.values.values()]
    save_formats(draw_losses(found, systems), output, "loss")
    return text


def write_terms(path: Path) -> None:
    """All definitions of the ontology; a file that is there stays."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_definitions(path, distinct_definitions(load_hpo()))


def ask(loaded: LoadedExperiment, arm: ArmSummary, output: Path) -> Answer:
    """Exports the mean adapter that an arm's first run ended with, and has it continue the prompt."""
    folder = output / "compare" / "runs" / arm.name / f"seed-{min(arm.done)}"
    adapted = _adapted(load_experiment(folder / "config.yaml").experiment, loaded)
    export(adapted, read_adapter(folder, adapted.spec), output / f"adapter-{arm.name}")
    said = generate(output / f"adapter-{arm.name}", PROMPT, max_new_tokens=MAX_NEW_TOKENS, device="cpu")
    return Answer(arm.name, PROMPT, adapted.spec.size, said)


def _adapted(experiment: Experiment, loaded: LoadedExperiment) -> Adapted:
    names = experiment.simulation.names
    return load_adapted(experiment, DataSite(names[0], names, None, loaded.folder, loaded.folder))


def main() -> NoReturn:
    """Runs the study once and prints its reading."""
    options = study_options(__doc__, name="hospitals", quick="two arms, four steps: a look at the machinery")
    terms = Terms(options.command, options.resume)
    end_with(lambda: run_study(options.experiment, options.output, terms, quick=options.quick))


if __name__ == "__main__":
    main()
