"""How good a node's current adapter is, on its held-out part, the common test set, any file, or what came when."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.errors import DataError, StateError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite, Examples, NodeData, load_node_records, load_test, tokenize_node
from gossipfl.learning.device import autocast_type, choose_device
from gossipfl.learning.evaluation import Evaluation, evaluate
from gossipfl.learning.forgetting import score_of
from gossipfl.learning.tasks import make_task
from gossipfl.node.assembly import site_of, state_dir_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.node.intake import with_folder
from gossipfl.node.periods import read_journal
from gossipfl.node.ranks import as_node
from gossipfl.node.standing import memory_in


@dataclass(frozen=True, slots=True)
class OfPeriod:
    """How good a node's current adapter is on the held-out data of one period.

    Attributes:
        period: from 0.
        step: optimizer steps the node had done when its data came.
        files: names.
        now: None where nothing of it is held out.
        best: of the evaluations in this node's metrics, accuracy, of causal-lm that of tokens; None before the first.
        forgetting: best − now, of a period that is not the newest, see `learning.forgetting`.
    """

    period: int
    step: int
    files: tuple[str, ...]
    now: Evaluation | None
    best: float | None
    forgetting: float | None


@dataclass(frozen=True, slots=True)
class _Subject:
    """A node's newest adapter, ready to be evaluated."""

    experiment: Experiment
    site: DataSite
    folder: Path
    adapted: Adapted
    device: torch.device

    def on(self, examples: Examples) -> Evaluation:
        training = self.experiment.training
        task = make_task(self.experiment.task, autocast=autocast_type(training, self.device))
        return evaluate(self.adapted.module, task, examples.to(self.device), micro_batch=training.micro_batch)

    def data(self) -> NodeData:
        """The node's, a watched folder's as it has taken it in."""
        site, _ = with_folder(self.experiment, self.site, self.folder, keeps=False)
        return tokenize_node(self.experiment, load_node_records(self.experiment, site), self.adapted.tokenizer)


def evaluate_node(
    peers: Path, *, name: str, data: Path | None, state_dir: Path | None = None, overrides: Sequence[str] = ()
) -> Evaluation:
    """Loss and metrics of the node's newest checkpoint.

    Args:
        data: file to evaluate on; default: the node's held-out part, else the common test set.

    Raises:
        StateError: the node has no checkpoint yet.
        DataError: there is nothing to evaluate on.
    """
    subject = _subject(peers, name, state_dir, overrides)
    experiment, site, tokenizer = subject.experiment, subject.site, subject.adapted.tokenizer
    if data is not None:
        named = experiment.model_copy(update={"data": experiment.data.model_copy(update={"test": str(data.resolve())})})
        examples = load_test(named, site.folder, tokenizer)
    elif experiment.data.held_out:
        examples = subject.data().held_out
    else:
        examples = load_test(experiment, site.folder, tokenizer)
    if examples is None:
        raise DataError("nothing to evaluate on: give --data FILE, data.held_out, data.test or data.test_share")
    return subject.on(examples)


def evaluate_history(
    peers: Path, *, name: str, state_dir: Path | None = None, overrides: Sequence[str] = ()
) -> list[OfPeriod]:
    """The node's newest checkpoint on the held-out data of each period, oldest first.

    Raises:
        StateError: the node has no checkpoint yet.
        DataError: it watches no folder, or holds nothing out.
    """
    subject = _subject(peers, name, state_dir, overrides)
    if not (subject.experiment.data.watch and subject.experiment.data.held_out):
        raise DataError(
            "--history: data.watch and data.held_out were expected: data that comes in periods, part held out"
        )
    data, journal = subject.data(), read_journal(subject.folder)
    examples = data.by_period or (data.held_out,)
    now = [subject.on(each) if each.rows else None for each in examples]
    memory = memory_in(subject.folder / "metrics.jsonl")
    scores = [None if found is None else score_of(found) for found in now]
    best = [*memory.best, *[None] * len(scores)]
    forgotten = [*memory.forgotten(scores), None]
    return [
        OfPeriod(number, came.step, tuple(file.name for file in came.files), *figures)
        for number, (came, *figures) in enumerate(zip(journal.periods, now, best, forgotten, strict=False))
    ]


def _subject(peers: Path, name: str, state_dir: Path | None, overrides: Sequence[str]) -> _Subject:
    loaded = load_peers(peers, overrides)
    me = resolve_self(loaded.peers, name, {})
    loaded = as_node(loaded, me)
    experiment, site = loaded.experiment.experiment, site_of(loaded, me)
    folder = state_dir or state_dir_of(loaded, me)
    saved = load_latest(folder)
    if saved is None:
        raise StateError(f"{folder} holds no checkpoint: node {me.name!r} has not trained yet")
    adapted = load_adapted(experiment, site)
    device = choose_device(experiment.training)
    adapted.module.to(device)
    adapted.write(saved.state)
    return _Subject(experiment, site, folder, adapted, device)
