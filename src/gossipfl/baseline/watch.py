"""Looking after the processes of a deployment while its server works: what may end the run, and what may not."""

import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from gossipfl.baseline.processes import is_alive
from gossipfl.errors import TrainingError

POLL_S = 0.2
Process = subprocess.Popen[str]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wards:
    """What is looked after.

    Attributes:
        superlink: without it there is nothing.
        supernodes: by the client's name; the others go on without one, once rounds have begun.
        log: where a process writes, by its name.
    """

    superlink: Process
    supernodes: Mapping[str, Process]
    log: Callable[[str], Path]


class Watch:
    """Tells trouble.

    Args:
        processes: see there.
        gone: told the name of a client whose supernode has ended while the others go on.
        limit_s: seconds without a word from the server after which nothing is expected of it.
    """

    def __init__(self, processes: Wards, gone: Callable[[str], None], limit_s: float) -> None:
        self._processes, self._gone, self._limit_s = processes, gone, limit_s
        self._alive = dict(processes.supernodes)
        self._server: psutil.Process | None = None
        self._ended = False
        self._heard, self._running = time.monotonic(), False

    def begun(self, pid: int) -> None:
        """The server's process."""
        self._heard = time.monotonic()
        try:
            self._server = psutil.Process(pid)
        except psutil.NoSuchProcess:
            # it has said all by now, and that is read before trouble is told
            self._ended = True

    def running(self) -> None:
        """The server has said how far it is."""
        self._heard, self._running = time.monotonic(), True

    def trouble(self) -> str | None:
        """Why there will be no outcome, as often as it is asked; None as long as there may be one."""
        code = self._processes.superlink.poll()
        if code is not None:
            return f"flower-superlink ended with code {code}; see {self._processes.log('superlink')}"
        for name in [name for name, process in self._alive.items() if process.poll() is not None]:
            said = f"client {name}: flower-supernode ended with code {self._alive[name].returncode}"
            # what ends the run stays here, to be told again: a last word of the server may come first
            if not self._running:
                return f"{said} before the first round; see {self._processes.log(name)}"
            if len(self._alive) == 1:
                return f"{said}, and it was the last one; see {self._processes.log(name)}"
            del self._alive[name]
            logger.warning("%s; the others go on; see %s", said, self._processes.log(name))
            self._gone(name)
        # Flower's superexec does not ask how it ended: it stays in the table of processes
        if self._ended or (self._server is not None and not is_alive(self._server)):
            return f"Flower's server ended without a result; see {self._processes.log('server')}"
        if time.monotonic() - self._heard > self._limit_s:
            return f"nothing from Flower's server for {self._limit_s:.0f} s; see {self._processes.log('server')}"
        return None


def told_lines(path: Path, watch: Watch) -> Iterator[str]:
    """Lines of a file that grows, for as long as nothing is wrong.

    Raises:
        TrainingError: what is wrong, when there is no line left.
    """
    path.touch()
    with path.open() as file:
        begun = ""
        while True:
            # before reading: what a process has said before it ended is read first
            trouble = watch.trouble()
            text = file.read()
            *lines, begun = (begun + text).split("\n")
            yield from lines
            if not text and trouble:
                raise TrainingError(trouble)
            if not text:
                time.sleep(POLL_S)
