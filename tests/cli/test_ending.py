"""The end of the process."""

import subprocess
import sys

import pytest

BUSY = """
import asyncio, sys, threading, torch
from gossipfl.node.worker import Worker

started = threading.Event()

def step():
    while True:
        torch.randn(300, 300) @ torch.randn(300, 300)
        started.set()

async def begin():
    asyncio.ensure_future(Worker().run(step))
    await asyncio.to_thread(started.wait)

loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
from gossipfl.cli.app import run
sys.argv = ["gossipfl", *sys.argv[1:]]
run()
"""


def end(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BUSY, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
def test_the_exit_code_is_the_commands_while_a_training_step_is_under_way() -> None:
    done = end("topology", "show", "ring", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{")
    mistaken = end("topology", "show", "doughnut")
    assert mistaken.returncode == 2
    assert mistaken.stderr.splitlines()[-1].startswith("error: ")
