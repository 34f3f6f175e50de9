"""`gossipfl fedavg` in processes of Flower's as a user runs it, in a process of its own, in a home of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

WAIT_S = 900.0
"""A deadline for what hangs; alone on two cores everything here takes a minute."""
_POLL_S = 0.1
_MARK = "OF_DEPLOYMENT_TEST"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The command, begun.

    Attributes:
        folder: with `run`, the run's folder; `home`, the user's; `tmp`, for temporary files; `cache`, what may stay.
        process: the command.
    """

    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it said on stderr, when it is through."""
        _, said = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, said

    def wait_until_log(self, name: str, pattern: str) -> None:
        """Until a log of Flower's says so."""
        self.wait_until(f"flower-{name}.log", pattern)

    def wait_until(self, name: str, pattern: str) -> None:
        """Until a file in the run's folder says so."""
        path, end = self.run / name, time.monotonic() + WAIT_S
        while not (path.exists() and re.search(pattern, path.read_text())):
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < end, f"{path} never said {pattern}"
            time.sleep(_POLL_S)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self, program: str, argument: str = "") -> None:
        """One of Flower's programs, at once, as the kernel does when memory is short."""
        found = [each for each in self.processes() if program in " ".join(each.cmdline()[:2])]
        (victim,) = [each for each in found if argument in " ".join(each.cmdline())]
        victim.kill()

    def kill_app_of(self, client: str) -> None:
        """The ClientApp that works for a client, as soon as it has taken the message: one before that is replaced."""
        (node,) = [each for each in self.processes() if f"{client}.toml" in " ".join(each.cmdline())]
        end = time.monotonic() + WAIT_S
        while not (busy := [each for each in node.children(recursive=True) if _has_torch(each)]):
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < end, "no ClientApp was at work"
            time.sleep(_POLL_S)
        busy[0].kill()

    def processes(self) -> list[psutil.Process]:
        """All below the command, whoever their parents are by now."""
        return [each for each in psutil.process_iter() if each.pid != self.process.pid and self._is_of(each)]

    def left_behind(self) -> list[str]:
        """Processes that live, files in the user's home, temporary files; when the command is through: none."""
        files = [path for place in ("home", "tmp") for path in (self.folder / place).rglob("*")]
        return [str(process.cmdline()) for process in self.processes()] + [str(file) for file in files]

    def _is_of(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def _has_torch(process: psutil.Process) -> bool:
    try:
        return any("libtorch" in each.path for each in process.memory_maps())
    except psutil.Error:
        return False


def deploy(folder: Path, content: Mapping[str, Any], mode: str = "deployment") -> Deployment:
    """Begins; Ray's sockets, whose paths have to be short, are where they always are."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(parents=True)
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(dict(content)))
    command = [sys.executable, "-m", "gossipfl", "fedavg", str(path), "--mode", mode]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FLWR_", "XDG_"))}
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), _MARK: str(folder), "OMP_NUM_THREADS": "1"}
    own |= {"RAY_TMPDIR": tempfile.gettempdir(), "GOSSIPFL_CACHE": str(folder / "cache")}
    return Deployment(
        folder,
        subprocess.Popen(
            [*command, "--output", str(folder / "run"), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | own,
        ),
    )
