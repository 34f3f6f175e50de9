"""How often a phase's pair noise was begun: no number of it is ever used for two states.

A phase that is done again, after a crash say, takes the next turn: with the noise of the first one, the difference of
the two states would be bare of it. The turn is durable before the noise is made.
"""

import contextlib
import json
import os
from pathlib import Path
from threading import Lock
from typing import Protocol

from gossipfl.durable import fsync_folder
from gossipfl.errors import StateError


class Turns(Protocol):
    """Counts the turns of one node."""

    def take(self, phase: int) -> int:
        """The next turn of this phase, 0 the first time; durable on return where the node is real.

        Raises:
            StateError: it could not be made durable; no noise may be made.
        """
        ...


class MemoryTurns:
    """Of a simulated node: in memory, and in the checkpoint of the simulation.

    Attributes:
        last: highest phase, and phases that were begun again; (-1, 0) before the first.
    """

    def __init__(self) -> None:
        self.last = (-1, 0)

    def take(self, phase: int) -> int:
        """See `Turns.take`."""
        self.last, turn = following(self.last, phase)
        return turn


class FileTurns:
    """Of a real node: a small file in its state directory. Safe to use from several threads.

    Losing it lowers no ε: it goes with the keys of the life, which agree on other seeds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._last = _read(path)

    def take(self, phase: int) -> int:
        """See `Turns.take`."""
        with self._lock:
            last, turn = following(self._last, phase)
            _write(self._path, last)
            self._last = last
            return turn


def following(last: tuple[int, int], phase: int) -> tuple[tuple[int, int], int]:
    """(highest phase, phases begun again) with this one, and its turn.

    Guarantees:
        No phase gets a turn twice: 0 is for one that is higher than all before, others are never counted anew.
    """
    highest, again = last
    return ((phase, again), 0) if phase > highest else ((highest, again + 1), again + 1)


def _read(path: Path) -> tuple[int, int]:
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        return int(content["phase"]), int(content["again"])
    except FileNotFoundError:
        return (-1, 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path} does not say which pair noise was used; move the state directory away") from error


def _write(path: Path, last: tuple[int, int]) -> None:
    beside = path.with_suffix(".part")
    try:
        with beside.open("w", encoding="ascii") as file:
            file.write(json.dumps({"phase": last[0], "again": last[1]}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written: {error.strerror}") from error
