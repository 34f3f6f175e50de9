"""Where drills take place: real node processes of one small study, what they write down, what is done to them.

n0 … n3, complete graph, wait_free, DP-SGD on made-up vectors; each node has a peers.yaml and a state directory
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from gossipfl.config.experiment import AdapterConfig, DataConfig, Experiment, ModelConfig, TaskConfig
from gossipfl.config.gossip import GossipConfig
from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.rng import generator
from gossipfl.node.checkpoint import load_latest
from gossipfl.studies.arm_files import write_arm
from gossipfl.studies.drill.lines import Lines, open_lines
from gossipfl.studies.fleet import Fleet, Job, node_job

INPUTS, RECORDS = 16, 64
LABELS = ("below", "above")
LOOK_S = 0.1
SMALL_BYTES, GROWTH_BYTES_PER_S = 32_000_000, 50_000
"""Of the file system that one node's state lies on; and what metrics and log may add to it while drills go on."""
SMALL_DISK = 2
"""That node's place."""
PHASES = 1_000_000
"""More than any drill lasts: nodes train until they are stopped."""


@dataclass(slots=True)
class Sight:
    """What a node has written in `metrics.jsonl`, read on as it grows.

    Attributes:
        phase: its last; -1 before any.
        epsilon: the largest so far.
        fell: how often ε was less than before.
        heard: own phases since each neighbor was heard, as of the last mixing.
        rejected: by reason, in the present life.
        lost: phases that were done and are gone, the one in flight at a restart not counted.
    """

    path: Path
    phase: int = -1
    epsilon: float = 0.0
    fell: int = 0
    rows: int = 0
    heard: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    _offset: int = 0

    def look(self) -> None:
        """Reads what is new."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            # the last line may still be on its way
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        for line in complete.splitlines():
            self._take(json.loads(line))

    def _take(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        self.lost += max(0, self.phase - row["phase"] - 1)
        self.phase, self.heard = row["phase"], row["staleness"]
        self.rejected = row["rejected"]
        epsilon = row["epsilon"] or 0.0
        # rounded as it is written: less by more than that is less
        if epsilon < self.epsilon * (1 - 1e-9):
            self.fell += 1
        self.epsilon = max(self.epsilon, epsilon)


class Ground:
    """Nodes that run until the context that made it is left.

    Attributes:
        names: of the nodes.
        lines: between them.
        fleet: their processes.
        sights: what each has written, by name.
        restarts: how often one was started again.
        wrong: by fault, what was not as it should be.
    """

    def __init__(self, folder: Path, names: Sequence[str], lines: Lines, fleet: Fleet) -> None:
        self.folder = folder
        self.names = tuple(names)
        self.lines = lines
        self.fleet = fleet
        self.sights = {name: Sight(self.state(name) / "metrics.jsonl") for name in names}
        self.restarts = 0
        self.wrong: list[tuple[str, str]] = []
        self._memory: dict[str, int] = {}
        self._beside: subprocess.Popen[bytes] | None = None

    def state(self, name: str) -> Path:
        """A node's state directory."""
        return self.folder / "arm" / "state" / name

    def job(self, name: str) -> Job:
        """A node's command."""
        peers = self.folder / "arm" / f"peers-{name}.yaml"
        return node_job(peers, name, log=self.folder / f"{name}.log", extra=("--state-dir", str(self.state(name))))

    def look(self) -> None:
        """Reads what all have written since."""
        for sight in self.sights.values():
            sight.look()

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Starts a node that has ended.

        Args:
            environment: variables beside this process's own.
        """
        self.restarts += 1
        self.fleet.start(self.job(name), environment or {})

    def kill(self, name: str) -> None:
        """`kill -9`."""
        self.fleet.kill(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a node."""
        os.killpg(self.fleet.processes[name].pid, number)

    def is_up(self, name: str) -> bool:
        """Whether its process runs."""
        return self.fleet.processes[name].poll() is None

    def wait(self, seconds: float) -> None:
        """Lets time pass, and reads what is written meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
            self.look()

    def note(self, fault: str, text: str) -> None:
        """Remembers that something is not as it should be."""
        self.wrong.append((fault, text))

    def run_beside(self, command: Sequence[str]) -> None:
        """Starts another program; one at a time."""
        with (self.folder / "beside.log").open("a") as log:
            self._beside = subprocess.Popen(  # noqa: S603  # a module of ours
                command, stdout=log, stderr=log, start_new_session=True
            )

    def end_beside(self) -> None:
        """Ends it."""
        if self._beside is not None:
            self._beside.kill()
            self._beside.wait()
            self._beside = None

    def remember_memory(self, name: str) -> None:
        """From now on `growth_bytes` is against now."""
        self._memory[name] = self.memory_bytes(name)

    def growth_bytes(self, name: str) -> int:
        """By which a node's process has grown since `remember_memory`."""
        return self.memory_bytes(name) - self._memory[name]

    def has_small_disk(self, name: str) -> bool:
        """Whether its state directory is a file system of its own."""
        return self.state(name).is_mount()

    def memory_bytes(self, name: str) -> int:
        """What its process holds in memory."""
        return int(psutil.Process(self.fleet.processes[name].pid).memory_info().rss)

    def disagreement(self) -> float:
        """Largest distance of two nodes' newest checkpoints, as part of their mean norm."""
        found = [load_latest(self.state(name)) for name in self.names]
        vectors = [saved.state.vector.astype(np.float64) for saved in found if saved is not None]
        norm = np.mean([np.linalg.norm(vector) for vector in vectors])
        return float(max(np.linalg.norm(a - b) for a, b in combinations(vectors, 2)) / norm)

    def log(self, name: str) -> str:
        """All that a node has said."""
        return self.job(name).log.read_text()


@contextmanager
def open_ground(folder: Path, names: Sequence[str], *, namespaces: bool, seed: int, lasts_s: float) -> Iterator[Ground]:
    """A study in a folder, its nodes started; they are stopped on the way out.

    Args:
        lasts_s: about how long.

    Raises:
        NetworkError: this machine has no such network.
    """
    with open_lines(names, namespaces=namespaces, seed=seed) as lines:
        _write(folder, names, lines, seed)
        fleet = Fleet([], launch=lines.launch)
        ground = Ground(folder, names, lines, fleet)
        size = SMALL_BYTES + round(GROWTH_BYTES_PER_S * lasts_s)
        with _small_disk(ground.state(names[SMALL_DISK]), size), fleet:
            try:
                for name in names:
                    fleet.start(ground.job(name))
                yield ground
            finally:
                ground.end_beside()


@contextmanager
def _small_disk(path: Path, size_bytes: int) -> Iterator[None]:
    """A small file system in memory, where this process may mount one; else nothing."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", str(path)], check=False)  # noqa: S603, S607


def _write(folder: Path, names: Sequence[str], lines: Lines, seed: int) -> None:
    peers = write_arm(folder / "arm", _experiment(seed), names=names, topology="complete")
    (folder / "data").mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / "data" / f"{name}.jsonl").write_text(_records(seed, number))
        content = yaml.safe_load(peers.read_text())
        for node in content["nodes"]:
            other = node["name"]
            node["address"] = lines.binds[name] if other == name else lines.address(name, other)
        (folder / "arm" / f"peers-{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shutil.rmtree(folder / "arm" / "state", ignore_errors=True)


def _experiment(seed: int) -> Experiment:
    return Experiment(
        seed=seed,
        model=ModelConfig(source="builtin:mlp", inputs=INPUTS, hidden=(32,)),
        task=TaskConfig(kind="vector-classification", labels=LABELS),
        adapter=AdapterConfig(kind="full"),
        data=DataConfig(held_out=0.0),
        training=TrainingConfig(
            phases=PHASES,
            local_steps=4,
            batch_size=16,
            micro_batch=64,
            learning_rate=0.05,
            threads=1,
            device="cpu",
            evaluate_every=0,
        ),
        # made-up vectors; what matters is that every step is charged, and never less than was charged before
        privacy=PrivacyConfig(level="example", noise_multiplier=1.0, accountant="rdp", public_data=True),
        gossip=GossipConfig(protocol="wait_free", message_timeout_s=10.0),
    )


def _records(seed: int, number: int) -> str:
    draw = generator(seed, purpose=f"drill records {number}")
    vectors = draw.standard_normal((RECORDS, INPUTS)).round(4)
    rows = ({"features": list(row), "label": LABELS[int(row.sum() > 0)]} for row in vectors)
    return "".join(json.dumps(row) + "\n" for row in rows)
