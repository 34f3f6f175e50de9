"""How good an export is on a file: with neither peers.yaml nor the node it comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import AdapterConfig, Experiment
from gossipfl.config.loading import dump_experiment, parse_experiment
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.context import check_length, cut_notice
from gossipfl.learning.data.any_file import DataFile, read_examples
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.export import NOTE
from gossipfl.learning.exported import ExportNote, load_exported, read_note
from gossipfl.learning.learner import judged
from gossipfl.learning.tasks import make_task

_CHANGEABLE = ("data.", "training.", "task.max_length", "task.metrics", "task.max_new_tokens")
"""What may be set: not what the export was made for."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An export as `judged` takes it."""

    module: nn.Module
    tokenizer: PreTrainedTokenizerBase | None
    experiment: Experiment


def evaluate_export(
    adapter_dir: Path, data: DataFile, overrides: Sequence[str] = (), *, notice: Callable[[str], None] = lambda _: None
) -> Evaluation:
    """Loss and metrics of an export on a file.

    Args:
        overrides: `data.text=body` and the like; columns are those of the training unless they say otherwise.
        notice: told in one line how many records were cut.

    Raises:
        ModelError: no export, made on another base model, or not readable.
        ConfigError: an override is of what the export was made for, or no such device is here.
        DataError: see `read_examples`.
    """
    experiment = _experiment(adapter_dir, read_note(adapter_dir), overrides)
    device = choose_device(experiment.training)
    exported = load_exported(adapter_dir, device)
    check_length(exported.module, experiment.task.max_length)
    examples = read_examples(experiment, data, exported.reader)
    if cut := cut_notice([examples], experiment.task):
        notice(cut)
    task = make_task(experiment.task, autocast=autocast_type(experiment.training, device))
    asked = _Asked(exported.module, exported.tokenizer, experiment)
    return judged(asked, exported.module, task, examples.to(device), micro_batch=experiment.training.micro_batch)


def _experiment(adapter_dir: Path, note: ExportNote, overrides: Sequence[str]) -> Experiment:
    """What the note says as an experiment, in which nothing is trained."""
    for override in overrides:
        if not override.strip().startswith(_CHANGEABLE):
            raise ConfigError(
                f"--set {override!r}: an export has its own model and task; {', '.join(_CHANGEABLE)} can be set"
            )
    said = Experiment(
        seed=note.seed,
        model=note.model,
        task=note.task,
        adapter=AdapterConfig(kind="full"),
        data=note.columns,
        privacy=PrivacyConfig(level="none"),
    )
    return parse_experiment(dump_experiment(said), source=str(adapter_dir / NOTE), overrides=overrides)
