"""Processes that begin with all imports done: forked from one clean process, which has run no other line of ours.

python -m gossipfl …                  ~5 CPU-seconds of imports, then the work
launcher(modules)(job, environment)   the same command line in a process, session and environment of its own, at once

Where processes cannot be forked safely (macOS) they are started as ever.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO

from gossipfl.studies.fleet import Job, Running, launch

Launch = Callable[[Job, Mapping[str, str]], Running]
THREADS = "OMP_NUM_THREADS"


class Forked:
    """A process as `Fleet` takes it.

    Attributes:
        stdout: what it has written, from the beginning.
    """

    def __init__(self, process: ForkServerProcess, stdout: IO[str]) -> None:
        self._process = process
        self.stdout = stdout

    @property
    def pid(self) -> int:
        """See `Running`."""
        if self._process.pid is None:
            raise AssertionError("it was started")
        return self._process.pid

    def poll(self) -> int | None:
        """See `Running`."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """See `Running`."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        """See `Running`."""
        if self.poll() is None:
            os.kill(self.pid, sig)


def launcher(modules: Sequence[str]) -> Launch:
    """What starts jobs for `Fleet`.

    Args:
        modules: imported once, before the first job; of a process that forks already they are those of its first time.
    """
    if sys.platform != "linux":
        return launch
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))

    def start(job: Job, environment: Mapping[str, str]) -> Forked:
        with _environment(THREADS, environment[THREADS]):
            # torch reads it when it is imported
            forkserver.ensure_running()
        output = job.log.with_suffix(".out")
        for path in (output, job.log):
            path.touch()
        process = context.Process(target=_run, args=(tuple(job.arguments), job.log, output, dict(environment)))
        process.start()
        return Forked(process, output.open())

    return start


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _run(arguments: Sequence[str], log: Path, output: Path, environment: Mapping[str, str]) -> None:
    os.setsid()
    for path, number in ((output, 1), (log, 2)):
        with path.open("a") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    option, module, *rest = arguments
    if option != "-m":
        raise ValueError(f"{option!r}: a module was expected, -m MODULE")
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
