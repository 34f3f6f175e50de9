"""What a process with Flower's server in it says to the command that has started it: JSON lines.

{"begun": PID}   {"progress": {…}}   at last {"outcome": {…}} or {"error": {"kind": …, "message": …}}
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import IO, Any

from gossipfl import errors
from gossipfl.baseline.recorder import Outcome
from gossipfl.core.json_text import json_text
from gossipfl.errors import UserError
from gossipfl.runs.progress import Progress


class Voice:
    """Says lines.

    Args:
        file: where to; nobody else writes there.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def begun(self) -> None:
        """This process is at work: who listens may look whether it lives."""
        self._say({"begun": os.getpid()})

    def progress(self, now: Progress) -> None:
        """How far the run is."""
        self._say({"progress": asdict(now)})

    def tell(self, work: Callable[[], Outcome]) -> None:
        """Works, and says what came of it; a bug is for the caller."""
        try:
            outcome = work()
        except UserError as error:
            self._say({"error": {"kind": type(error).__name__, "message": str(error)}})
        else:
            self._say({"outcome": asdict(outcome)})

    def _say(self, message: Mapping[str, object]) -> None:
        """One line, at once."""
        print(json_text(message), file=self._file, flush=True)


def follow(
    lines: Iterable[str], show: Callable[[Progress], None], begun: Callable[[int], None] = lambda _pid: None
) -> Outcome | None:
    """Reads what a server says until it is through; None when it says nothing more.

    Args:
        begun: told which process it is.

    Raises:
        UserError: what it ended with.
    """
    for line in lines:
        match json.loads(line):
            case {"begun": int(pid)}:
                begun(pid)
            case {"progress": dict(values)}:
                show(Progress(**values))
            case {"outcome": dict(values)}:
                return Outcome(**values)
            case {"error": {"kind": str(kind), "message": str(message)}}:
                raise _error(kind, message)
    return None


def _error(kind: str, message: str) -> Exception:
    known: Mapping[str, Any] = vars(errors)
    found: Exception = known[kind](message)
    return found
