"""Processes of Flower's, started, watched and ended with everything that they have started themselves.

Every process below carries a mark in its environment, so that one whose parent has died is found too.
"""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

MARK = "GOSSIPFL_FAMILY"
GRACE_S = 5.0
"""Seconds between asking a process to end and ending it."""


class Family:
    """Processes that end together. Made by `family`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._environment = {**os.environ, **environment, MARK: self._mark}

    def start(self, command: Sequence[str], log: Path, *, piped: bool = False) -> "subprocess.Popen[str]":
        """Starts a process.

        Args:
            log: its stderr is appended there, and its stdout unless it is piped.
            piped: its stdout is for the caller to read.
        """
        with log.open("a") as file:
            out: int | IO[str] = subprocess.PIPE if piped else file
            # away from the terminal's Ctrl-C: it is for this process to end the family in good order
            return subprocess.Popen(  # noqa: S603  # commands of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=file,
                text=True,
                start_new_session=True,
                env=self._environment,
            )

    def members(self) -> list[psutil.Process]:
        """Those that are alive."""
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def end(self) -> None:
        """Ends all of them, and those they start meanwhile."""
        members = self.members()
        for process in members:
            _quietly(process.terminate)
        psutil.wait_procs(members, timeout=GRACE_S)
        while members := self.members():
            for process in members:
                _quietly(process.kill)
            psutil.wait_procs(members, timeout=GRACE_S)

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@contextmanager
def family(environment: Mapping[str, str]) -> Iterator[Family]:
    """Processes that are gone when the context ends: by success, by an error, by Ctrl-C, by SIGTERM."""
    members = Family(environment)
    with _terminated_in_order():
        try:
            yield members
        finally:
            members.end()


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """SIGTERM unwinds the stack, as Ctrl-C does."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _quietly(act: Callable[[], None]) -> None:
    # it may have ended by itself
    with suppress(psutil.Error):
        act()
