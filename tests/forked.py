"""Node processes that begin with all imports done: forked from one clean process, which has run no other line of ours.

python -m gossipfl node …      ~5 CPU-seconds of imports, then the node
forked(job, environment)       the same command line in a process, session and environment of its own, at once

`tests/node/test_fleet_of_three.py` starts its nodes as users do.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO

import pytest

from gossipfl.studies.fleet import Job


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
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def forked(job: Job, environment: Mapping[str, str]) -> Forked:
    """Starts the job; for `Fleet`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    with pytest.MonkeyPatch.context() as patch:
        # torch reads it when it is imported
        patch.setenv("OMP_NUM_THREADS", environment["OMP_NUM_THREADS"])
        forkserver.ensure_running()
    output = job.log.with_suffix(".out")
    output.write_text("")
    process = context.Process(target=_run, args=(tuple(job.arguments), job.log, output, dict(environment)))
    process.start()
    return Forked(process, output.open())


def _run(arguments: Sequence[str], log: Path, output: Path, environment: Mapping[str, str]) -> None:
    os.setsid()
    for path, number in ((output, 1), (log, 2)):
        with path.open("a") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    option, module, *rest = arguments
    assert option == "-m"
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
