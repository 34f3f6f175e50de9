"""Simulated training, as small as it can be, for tests: digits, and sentences for tiny transformers."""

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tests.learning.conftest import LABELS

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment, load_experiment
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult
from gossipfl.sim.nodes import build_world, generators_of, guards_of, node_parts, schedule_for, weigher
from gossipfl.sim.simulate import simulate
from gossipfl.sim.training import Training, build_training, training_course, training_setting
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

DIGITS: Mapping[str, Mapping[str, Any]] = {
    "model": {"source": "builtin:mlp", "inputs": 64, "hidden": [16]},
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {
        "source": "sklearn:digits",
        "test_share": 0.2,
        "split": {"kind": "dirichlet", "dirichlet_alpha": 1.0, "min_records": 20},
    },
    "training": {
        "phases": 10,
        "local_steps": 5,
        "batch_size": 16,
        "micro_batch": 64,
        "optimizer": "adamw",
        "learning_rate": 0.002,
        "weight_decay": 0.01,
        "device": "cpu",
    },
    "privacy": {"level": "none"},
    "topology": {"kind": "ring"},
    "gossip": {"protocol": "sync", "settle_rounds": 4, "deadline_s": 60.0, "linger_s": 60.0},
    "simulation": {"nodes": 4, "engine": "loop", "evaluate_every": 2, "links": {"latency_s": 0.05}},
}
NOISE = {"level": "example", "noise_multiplier": 1.0, "accountant": "rdp", "max_grad_norm": 0.5}
"""Section `privacy` of runs with seeded noise."""
UPDATE = {"level": "update", "noise_multiplier": 0.5, "max_grad_norm": 0.2}
"""The same at level update."""
PRIVACY: Mapping[str, Mapping[str, Any]] = {"none": {"level": "none"}, "example": NOISE, "update": UPDATE}
"""By level."""
FILES = ("metrics.jsonl", "nodes.jsonl")
"""What a run records."""
PEOPLE = 60
"""Persons in the sentences, each with three."""

Content = dict[str, dict[str, Any]]


def digits(**changes: Any) -> Content:
    """The run on digits with fields changed: `simulation__nodes=8`; a mapping replaces a whole section."""
    return changed(DIGITS, changes)


def changed(base: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Any]) -> Content:
    """A copy with fields changed."""
    content: Content = json.loads(json.dumps(base))
    for path, value in changes.items():
        *sections, last = path.split("__")
        place: dict[str, Any] = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return content


def with_engine(content: Content, engine: str) -> Content:
    """The same run by another engine."""
    return {**content, "simulation": {**content["simulation"], "engine": engine}}


def sentences(folder: Path, model: Path, task: str, **changes: Any) -> Content:
    """A run of four nodes on a tiny transformer; its data is written into the folder, three sentences a person."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        {
            "text": " ".join(f"w{word}" for word in 20 * (person % 3) + rng.integers(0, 20, rng.integers(3, 8))),
            "label": LABELS[person % 3],
            "person": f"p{person}",
        }
        for person in np.repeat(np.arange(PEOPLE), 3).tolist()
    ]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    base = changed(
        DIGITS,
        {
            "model": {"source": str(model)},
            "task": {"kind": task, "max_length": 10, **({"labels": list(LABELS)} if "class" in task else {})},
            "adapter": {"kind": "core", "rank": 4},
            "data": {"source": "data.jsonl", "unit": "person", "max_per_unit": 1},
            "training__batch_size": 6,
        },
    )
    return changed(base, changes)


def load(folder: Path, content: Mapping[str, Any]) -> LoadedExperiment:
    """The experiment, written into the folder and read back."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(dict(content)))
    return load_experiment(path)


@dataclass(frozen=True, slots=True)
class Played:
    """A simulation that is at its beginning or its end."""

    experiment: Experiment
    training: Training
    world: World[AdapterState]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(nodes, size) all states."""
        return np.stack([body.snapshot.state.vector for body in self.world.bodies.values()])

    @property
    def steps(self) -> dict[str, int]:
        """Optimizer steps in each node's state."""
        return {name: body.snapshot.step for name, body in self.world.bodies.items()}


def build(folder: Path, content: Mapping[str, Any]) -> Played:
    """A world in which nothing has happened yet."""
    loaded = load(folder, content)
    setting = training_setting(loaded)
    training = build_training(loaded.experiment, setting)
    course = training_course(loaded.experiment, setting, training)
    generators = generators_of(setting)
    schedule = schedule_for(setting)
    parts, guard = node_parts(setting, schedule, course), guards_of(setting, schedule, course)
    world = build_world(setting, parts, generators, trainer=course.trainer, weigh=weigher(setting), guard=guard)
    return Played(loaded.experiment, training, world)


def play(folder: Path, content: Mapping[str, Any]) -> Played:
    """A world in which all has happened."""
    played = build(folder, content)
    played.world.run()
    played.training.crew.close()
    return played


def resume(folder: Path, content: Content, *, stop_at: float | None = None) -> RunResult:
    """Begins the run in the folder or goes on with it; with `stop_at` SIGINT comes after so many rounds."""

    def show(progress: Progress) -> None:
        if stop_at is not None and progress.rounds >= stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    return simulate(load(folder, content), folder / "run", resume=True, show=show)
