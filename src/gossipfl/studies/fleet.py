"""Real node processes of one study: started together, watched, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from gossipfl.errors import GossipflError

POLL_S = 0.2
END_S = 8.0
"""Seconds a process gets between SIGTERM and SIGKILL, unless more are said to be needed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One process to run.

    Attributes:
        name: of the node or arm, for messages.
        arguments: of `python`, for example `-m gossipfl node …`; its last line of stdout is a JSON object.
        log: file that gets its stderr.
    """

    name: str
    arguments: Sequence[str]
    log: Path


def node_job(peers: Path, name: str, *, log: Path, extra: Sequence[str] = ()) -> Job:
    """`gossipfl node` for one node of a peers file."""
    return Job(name, ["-m", "gossipfl", "node", "--peers", str(peers), "--name", name, "--json", *extra], log)


class Running(Protocol):
    """A process that was started, in a process group of its own: what `subprocess.Popen` says of one."""

    @property
    def pid(self) -> int:
        """Its number, and its group's."""
        ...

    @property
    def stdout(self) -> IO[str] | None:
        """What it has written, to be read when it has ended."""
        ...

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, at the latest after so many seconds, when `subprocess.TimeoutExpired` is raised."""
        ...

    def send_signal(self, sig: int) -> None:
        """Sends the signal unless it has ended."""
        ...


def launch(
    job: Job, environment: Mapping[str, str], *, through: Callable[[Sequence[str]], Sequence[str]] = list
) -> Running:
    """Starts a job by this interpreter.

    Args:
        through: makes the command that runs a command elsewhere; it must replace what starts it.
    """
    with job.log.open("a") as log:
        return subprocess.Popen(  # noqa: S603  # this interpreter, our own module
            through([sys.executable, *job.arguments]),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,
        )


class Fleet:
    """Processes that live no longer than this context: each has its own process group, ended on the way out.

    Args:
        end_s: seconds a process gets between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        threads: int = 1,
        end_s: float = END_S,
        launch: Callable[[Job, Mapping[str, str]], Running] = launch,
    ) -> None:
        self._jobs = jobs
        self._end_s = end_s
        self._launch = launch
        # several processes share the cores: one torch thread each is quicker than many that wait for each other
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        self.processes: dict[str, Running] = {}

    def __enter__(self) -> Self:
        for job in self._jobs:
            self.start(job)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = [process for process in self.processes.values() if process.poll() is None]
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            try:
                process.wait(self._end_s)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()

    def start(self, job: Job, environment: Mapping[str, str] | None = None) -> None:
        """Starts one process; also again, after it was killed.

        Args:
            environment: variables beside those that all have.
        """
        self.processes[job.name] = self._launch(job, {**self._environment, **(environment or {})})

    def kill(self, name: str) -> None:
        """`kill -9` of one process and all it started."""
        _signal(self.processes[name], signal.SIGKILL)
        self.processes[name].wait()

    def results(self, *, timeout_s: float, watch: Callable[[], None] = lambda: None) -> Mapping[str, dict[str, Any]]:
        """Waits for all and gives the JSON object each printed last.

        Raises:
            GossipflError: one failed (its last log line is in the message) or was not done in time.
        """
        deadline = time.monotonic() + timeout_s
        while running := [name for name, process in self.processes.items() if process.poll() is None]:
            self._raise_failures()
            if time.monotonic() > deadline:
                raise GossipflError(f"not done after {timeout_s:.0f} s: {', '.join(running)}")
            watch()
            time.sleep(POLL_S)
        self._raise_failures()
        return {name: _last_object(process) for name, process in self.processes.items()}

    def _raise_failures(self) -> None:
        for job in self._jobs:
            code = self.processes[job.name].poll()
            if code:
                lines = job.log.read_text().strip().splitlines() or ["(nothing was said)"]
                raise GossipflError(f"{job.name} ended with exit code {code}: {lines[-1]} (whole log: {job.log})")


def _signal(process: Running, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _last_object(process: Running) -> dict[str, Any]:
    if process.stdout is None:
        raise GossipflError("a process without stdout has no result")
    result: dict[str, Any] = json.loads(process.stdout.read().strip().splitlines()[-1])
    return result
