"""Processes of Flower's, started, watched and ended with everything that they have started themselves.

Every process below carries a mark in its environment, so that one whose parent has died is found too; one whose
environment cannot be read (Flower's superexec hides it) is found as a child of one that is known, and one that has none
by its session.
"""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from gossipfl.runs.signals import undisturbed, unwound_once

MARK = "GOSSIPFL_FAMILY"
GRACE_S = 5.0
"""Seconds between asking a process to end and ending it."""


class Family:
    """Processes that end together. Made by `family`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._environment = {**os.environ, **environment, MARK: self._mark}
        self._roots: list[psutil.Process] = []

    def start(
        self, command: Sequence[str], log: Path, *, piped: bool = False, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Starts a process.

        Args:
            log: its stderr is appended there, and its stdout unless it is piped.
            piped: its stdout is for the caller to read.
            environment: its own, besides the family's.
        """
        with log.open("a") as file:
            out: int | IO[str] = subprocess.PIPE if piped else file
            # away from the terminal's Ctrl-C: it is for this process to end the family in good order
            child = subprocess.Popen(  # noqa: S603  # commands of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=file,
                text=True,
                start_new_session=True,
                env={**self._environment, **(environment or {})},
            )
        with suppress(psutil.Error):
            self._roots.append(psutil.Process(child.pid))
        return child

    def members(self) -> list[psutil.Process]:
        """Those that are alive."""
        marked = {process for process in psutil.process_iter() if self._is_marked(process)}
        known = marked.union(self._roots)
        below = {child for process in known for child in _children(process)}
        return [process for process in known | below if is_alive(process)]

    def end(self) -> None:
        """Ends all of them, and those they start meanwhile."""
        members = self.members()
        for process in members:
            _quietly(process.terminate)
        psutil.wait_procs(members, timeout=GRACE_S)
        # those of before too: with its parent gone one without a readable environment is found no more
        while members := [process for process in {*members, *self.members()} if is_alive(process)]:
            for process in members:
                _quietly(process.kill)
            psutil.wait_procs(members, timeout=GRACE_S)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
            # one that has only just begun has none yet, and is known by its session; so is one without any
            return environment.get(MARK) == self._mark or (not environment and self._is_in_session(process))
        except (psutil.Error, OSError):
            return False

    def _is_in_session(self, process: psutil.Process) -> bool:
        return os.getsid(process.pid) in {root.pid for root in self._roots}


@contextmanager
def family(environment: Mapping[str, str]) -> Iterator[Family]:
    """Processes that are gone when the context ends: by success, by an error, by Ctrl-C, SIGTERM, SIGHUP."""
    members = Family(environment)
    with unwound_once():
        try:
            yield members
        finally:
            # a Ctrl-C does not keep the family from being ended
            with undisturbed():
                members.end()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def is_alive(process: psutil.Process) -> bool:
    """Whether it works still; one that has ended and whose parent has not asked how (a zombie) does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _quietly(act: Callable[[], None]) -> None:
    # it may have ended by itself
    with suppress(psutil.Error):
        act()
