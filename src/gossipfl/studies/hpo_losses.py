"""Losses of several adapter states on several files of held-out terms, and their differences row by row.

    gain = mean(loss without − loss with)      error = std / √rows

The rows are the same, so what makes one definition harder than another cancels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_peers
from gossipfl.errors import StateError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import Examples, load_test
from gossipfl.learning.evaluation import row_losses
from gossipfl.learning.tasks import make_task
from gossipfl.node.assembly import site_of
from gossipfl.node.checkpoint import load_latest
from gossipfl.state import AdapterState

BASE = "base"
"""Name of the state before training."""
Losses = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""(rows,) losses by state and file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One node's losses on one organ system, per token, mean over its held-out terms.

    Attributes:
        base: before training.
        alone, gossip: after equal steps.
        gain: what gossip lowers the loss by beyond alone.
        error: standard error of `gain`, from paired rows.
        terms: rows.
    """

    base: float
    alone: float
    gossip: float
    gain: float
    error: float
    terms: int


def compare(base: NDArray[np.float64], alone: NDArray[np.float64], gossip: NDArray[np.float64]) -> Comparison:
    """The means of three runs over the same rows, and the paired difference of the last two."""
    differences = alone - gossip
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
    means = float(base.mean()), float(alone.mean()), float(gossip.mean())
    return Comparison(*means, gain=float(differences.mean()), error=error, terms=len(differences))


def measure(peers: Path, checkpoints: Mapping[str, Path], files: Mapping[str, Path]) -> Losses:
    """Losses of the untrained state, as `BASE`, and of the newest state in each folder of checkpoints.

    Raises:
        StateError: a folder holds none.
    """
    loaded = load_peers(peers)
    experiment = loaded.experiment.experiment
    adapted = load_adapted(experiment, site_of(loaded, loaded.peers.nodes[0]))
    states = {BASE: adapted.initial, **{name: _newest(folder) for name, folder in checkpoints.items()}}
    examples = {name: _examples(experiment, file, adapted) for name, file in files.items()}
    return {name: _losses(adapted, state, examples) for name, state in states.items()}


def _losses(adapted: Adapted, state: AdapterState, examples: Mapping[str, Examples]) -> dict[str, NDArray[np.float64]]:
    task, micro_batch = make_task(adapted.experiment.task), adapted.experiment.training.micro_batch
    adapted.write(state)
    return {name: row_losses(adapted.module, task, rows, micro_batch=micro_batch) for name, rows in examples.items()}


def _examples(experiment: Experiment, file: Path, adapted: Adapted) -> Examples:
    data = experiment.data.model_copy(update={"test": str(file.resolve())})
    examples = load_test(experiment.model_copy(update={"data": data}), file.parent, adapted.reader)
    if examples is None:
        raise ValueError("a named file is a test set")
    return examples


def _newest(folder: Path) -> AdapterState:
    saved = load_latest(folder)
    if saved is None:
        raise StateError(f"{folder} holds no checkpoint")
    return saved.state
