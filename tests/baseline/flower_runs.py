"""Runs of the baseline and of gossip on the same experiment, for tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tests.sim.training import Content, changed, digits, load, sentences

from gossipfl.baseline.deployed_client import app
from gossipfl.baseline.fedavg import fedavg
from gossipfl.baseline.inprocess import MemoryGrid
from gossipfl.baseline.recorder import Outcome
from gossipfl.baseline.trial import Trial, server_of
from gossipfl.runs.adapter_file import NAME
from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate

COMPLETE: dict[str, Any] = {
    "topology": {"kind": "complete"},
    "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
}
"""Gossip that is the mean of all after every phase."""
EXACT: dict[str, Any] = {
    "topology": {"kind": "ring", "schedule": "one_peer_exponential"},
    "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6, "rounds_per_phase": 2},
}
"""The same for four nodes by an exact schedule of length 2."""


def small(**changes: Any) -> Content:
    """Digits, four nodes, three rounds."""
    return changed(digits(training__phases=3, training__local_steps=4, **COMPLETE), changes)


def on_sentences(folder: Path, model: Path, kind: str, **changes: Any) -> Content:
    """A tiny transformer, four nodes, three rounds of two steps; its data is written into the folder."""
    base = sentences(folder, model, "sequence-classification", adapter__kind=kind, adapter__rank=4)
    return changed(base, {"training__phases": 3, "training__local_steps": 2, **COMPLETE, **changes})


class Deployed(MemoryGrid):
    """A grid in memory whose clients are a deployment's: each is built anew for every message."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(app, len(trial.roster.names))
        experiment, folder = trial.directory.path / "config.yaml", trial.roster.folder
        for context in self._contexts.values():
            context.node_config.update(trial=True, experiment=str(experiment), folder=str(folder))


def run_anew(trial: Trial) -> Outcome:
    """A mode of `fedavg`: a deployment's clients, in this process."""
    return server_of(trial).serve(Deployed(trial))


def centralized(folder: Path, content: Content, mode: str = "inprocess") -> RunResult:
    """By Flower."""
    return fedavg(load(folder, content), folder / mode, mode=mode)


def gossiped(folder: Path, content: Content) -> RunResult:
    """By gossip."""
    return simulate(load(folder, content), folder / "gossip")


def adapter_of(result: RunResult) -> NDArray[np.float32]:
    """Where it ended."""
    vector: NDArray[np.float32] = load_file(result.output / NAME)["vector"]
    return vector


def lines_of(result: RunResult, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """What was recorded."""
    return [json.loads(line) for line in (result.output / name).read_text().splitlines()]


def distance(one: RunResult, other: RunResult) -> float:
    """Largest difference between the adapters of two runs."""
    return float(np.abs(adapter_of(one) - adapter_of(other)).max())
