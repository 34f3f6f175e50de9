"""Processes below processes end with the family: also one whose parent is gone, or without the mark."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gossipfl.baseline.processes import family

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
PARENT = "import subprocess, sys, time; print(subprocess.Popen({child}).pid, flush=True); {then}"
SLEEPER = '[sys.executable, "-c", "import time; time.sleep(1000)"]'
BARE = SLEEPER + ", env={}"
"""A child without the mark."""


@pytest.mark.slow
@pytest.mark.parametrize("child", [SLEEPER, BARE])
def test_a_grandchild_ends_too(tmp_path: Path, child: str) -> None:
    with family({}) as members:
        command = [sys.executable, "-c", PARENT.format(child=child, then="time.sleep(1000)")]
        parent = members.start(command, tmp_path / "log", piped=True)
        assert parent.stdout is not None
        grandchild = psutil.Process(int(parent.stdout.readline()))
        assert {process.pid for process in members.members()} == {parent.pid, grandchild.pid}
    assert not grandchild.is_running()
    assert parent.poll() is not None


@pytest.mark.slow
@pytest.mark.parametrize("child", [SLEEPER, BARE])
def test_an_orphan_is_found_by_its_mark_or_its_session(tmp_path: Path, child: str) -> None:
    with family({}) as members:
        command = [sys.executable, "-c", PARENT.format(child=child, then="pass")]
        parent = members.start(command, tmp_path / "log", piped=True)
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.wait()
    assert not orphan.is_running()


COMMAND = """
import sys
from pathlib import Path
from gossipfl.baseline import processes
# the deaf one is not waited for long
processes.GRACE_S = 1.0
with processes.family({{}}) as members:
    command = [sys.executable, "-c", "{deaf}; print('up', flush=True); import time; time.sleep(1000)"]
    child = members.start(command, Path(sys.argv[1]), piped=True)
    child.stdout.readline()
    print(child.pid, flush=True)
    child.wait()
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_a_second_ctrl_c_leaves_nobody_behind(tmp_path: Path, first: signal.Signals) -> None:
    """The child is deaf to SIGTERM, so that the second signal comes while the family is being ended."""
    command = [sys.executable, "-c", COMMAND.format(deaf=DEAF), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.send_signal(first)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            # again and again: one of them comes in the middle
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.1)
        assert process.poll() is not None
    assert not child.is_running()
