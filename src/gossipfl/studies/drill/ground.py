"""Where drills take place: real node processes of one small study, what they write down, what is done to them."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import psutil

from gossipfl.node.checkpoint import load_latest
from gossipfl.runs.signals import unwound_once
from gossipfl.studies.drill.lines import Lines, open_lines
from gossipfl.studies.drill.sights import Sight
from gossipfl.studies.drill.small_study import write_study
from gossipfl.studies.fleet import Fleet, Job, node_job

LOOK_S = 0.1
AHEAD = 3
"""Phases that every node has to do to have gone on."""
SMALL_BYTES, GROWTH_BYTES_PER_S = 32_000_000, 50_000
"""Of the file system that one node's state lies on; and what metrics and log may add to it while drills go on."""
SMALL_DISK = 2
"""That node's place."""
_SAID_AT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),", re.MULTILINE)
"""The time that a node's log says."""


class Ground:
    """Nodes that run until the context that made it is left.

    Attributes:
        names: of the nodes.
        lines: between them.
        fleet: their processes.
        sights: what each has written, by name.
        restarts: how often one was started again.
        wrong: what was not as it should be since the present fault began.
        figures: what was measured of it.
    """

    def __init__(self, folder: Path, names: Sequence[str], lines: Lines, fleet: Fleet) -> None:
        self.folder = folder
        self.names = tuple(names)
        self.lines = lines
        self.fleet = fleet
        self.sights = {name: Sight(self.state(name) / "metrics.jsonl") for name in names}
        self.restarts = 0
        self.wrong: list[str] = []
        self.figures: dict[str, float] = {}
        self._begun: Mapping[str, int] = {}
        self._struck: Mapping[str, int] = {}
        self._rejected: Mapping[str, Mapping[str, int]] = {}
        self._said: Mapping[str, int] = {}
        self._watched: tuple[str, int] | None = None
        self._beside: subprocess.Popen[bytes] | None = None

    # ---- what the nodes are ----

    def state(self, name: str) -> Path:
        """A node's state directory."""
        return self.folder / "arm" / "state" / name

    def job(self, name: str) -> Job:
        """A node's command."""
        peers = self.folder / "arm" / f"peers-{name}.yaml"
        return node_job(peers, name, log=self.folder / f"{name}.log", extra=("--state-dir", str(self.state(name))))

    def is_up(self, name: str) -> bool:
        """Whether its process runs."""
        return self.fleet.processes[name].poll() is None

    def has_small_disk(self, name: str) -> bool:
        """Whether its state directory is a file system of its own."""
        return self.state(name).is_mount()

    def memory_bytes(self, name: str) -> int:
        """What its process holds in memory; 0 when it does not run."""
        try:
            return int(psutil.Process(self.fleet.processes[name].pid).memory_info().rss)
        except psutil.Error:
            return 0

    def log(self, name: str) -> str:
        """All that a node has said."""
        return self.job(name).log.read_text()

    def clock_ahead_s(self, name: str) -> float:
        """By how much the clock of a node's last word is ahead of the one by which its log was written."""
        said = _SAID_AT.findall(self.log(name))
        return datetime.fromisoformat(said[-1]).timestamp() - self.job(name).log.stat().st_mtime if said else 0.0

    def disagreement(self) -> float:
        """Largest distance of two nodes' newest checkpoints, as part of their mean norm."""
        found = [load_latest(self.state(name)) for name in self.names]
        vectors = [saved.state.vector.astype(np.float64) for saved in found if saved is not None]
        norm = np.mean([np.linalg.norm(vector) for vector in vectors])
        return float(max(np.linalg.norm(a - b) for a, b in combinations(vectors, 2)) / norm)

    # ---- what is done to them ----

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Starts a node again; one that still runs is killed before.

        Args:
            environment: variables beside this process's own.
        """
        self.restarts += 1
        self.kill(name)
        self.fleet.start(self.job(name), environment or {})

    def kill(self, name: str) -> None:
        """`kill -9` of a node, if it runs; what it had written is read, and is not taken for what comes after."""
        if self.is_up(name):
            self.fleet.kill(name)
        self.sights[name].look()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a node that runs."""
        if self.is_up(name):
            os.killpg(self.fleet.processes[name].pid, number)

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

    # ---- what is seen of a fault ----

    def begin(self) -> None:
        """A fault strikes now: what is noted, measured and counted from here on is of this one."""
        self.look()
        self.wrong, self.figures, self._watched = [], {}, None
        self._begun = self._struck = self.phases()
        self._rejected = {name: sight.rejected for name, sight in self.sights.items()}
        self._said = {name: len(self.log(name)) for name in self.names}

    def struck(self) -> None:
        """The fault has struck: whoever shall stand still does so from here on."""
        self.look()
        self._struck = self.phases()

    def note(self, text: str) -> None:
        """Remembers that something is not as it should be."""
        self.wrong.append(text)

    def progress(self, name: str) -> int:
        """Phases that a node has done since the fault began."""
        return self.sights[name].phase - self._begun[name]

    def progress_since_struck(self, name: str) -> int:
        """Phases that it has done since the fault had struck."""
        return self.sights[name].phase - self._struck[name]

    def said(self, name: str) -> str:
        """What a node has said since the fault began."""
        return self.log(name)[self._said[name] :]

    def rejected(self, name: str) -> Mapping[str, int]:
        """What a node that was not restarted has turned away since the fault began, by reason."""
        return Counter(self.sights[name].rejected) - Counter(self._rejected[name])

    def watch_memory(self, name: str) -> None:
        """From now on it is seen how far a node's process grows."""
        self._watched = (name, self.memory_bytes(name))
        self.figures["grown_bytes"] = 0

    def grown_bytes(self) -> float:
        """By how much the watched one had grown at its largest; it is watched no longer."""
        self.look()
        self._watched = None
        return self.figures.get("grown_bytes", 0)

    def phases(self) -> dict[str, int]:
        """The last of every node."""
        return {name: sight.phase for name, sight in self.sights.items()}

    def goes_on(self, marks: Mapping[str, int]) -> bool:
        """Whether all run, and each has done some phases since then and heard every other."""
        return all(self._goes_on(name, marks[name]) for name in self.names)

    def _goes_on(self, name: str, mark: int) -> bool:
        sight = self.sights[name]
        since = sight.phase - mark
        heard = all(sight.heard.get(other, since) < since for other in self.names if other != name)
        return self.is_up(name) and since >= AHEAD and heard

    # ---- time ----

    def look(self) -> None:
        """Reads what all have written since."""
        for sight in self.sights.values():
            sight.look()
        if self._watched is not None:
            name, before = self._watched
            self.figures["grown_bytes"] = max(self.figures["grown_bytes"], self.memory_bytes(name) - before)

    def wait(self, seconds: float) -> None:
        """Lets time pass, and reads what is written meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
            self.look()

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Waits for something; whether it came in time."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.wait(2 * LOOK_S)
        return True


@contextmanager
def open_ground(folder: Path, names: Sequence[str], *, namespaces: bool, seed: int, lasts_s: float) -> Iterator[Ground]:
    """A study in a folder, its nodes started; they are stopped on the way out, also by SIGTERM and a closed terminal.

    Args:
        lasts_s: about how long.

    Raises:
        NetworkError: this machine has no such network.
    """
    with unwound_once(), open_lines(names, namespaces=namespaces, seed=seed) as lines:
        write_study(folder, names, lines, seed)
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
