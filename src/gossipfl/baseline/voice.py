"""What a process with Flower's server in it says to the command that has started it: JSON lines.

{"begun": PID}   {"progress": {…}}   {"warning": …}   at last {"outcome": {…}} or {"error": {"kind": …, "message": …}}
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

from gossipfl import errors
from gossipfl.baseline.recorder import Outcome
from gossipfl.core.json_text import json_text
from gossipfl.errors import UserError
from gossipfl.runs.progress import Progress

logger = logging.getLogger(__name__)


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
        """Works, and says what came of it, and meanwhile what this package warns of; a bug is for the caller."""
        try:
            with _warnings_to(self._warning):
                outcome = work()
        except UserError as error:
            self._say({"error": {"kind": type(error).__name__, "message": str(error)}})
        else:
            self._say({"outcome": asdict(outcome)})

    def _warning(self, text: str) -> None:
        self._say({"warning": text})

    def _say(self, message: Mapping[str, object]) -> None:
        """One line, at once."""
        print(json_text(message), file=self._file, flush=True)


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        # an error ends the work, and is told as that
        if record.levelno == logging.WARNING:
            self._tell(record.getMessage())


@contextmanager
def _warnings_to(tell: Callable[[str], None]) -> Iterator[None]:
    ours, handler = logging.getLogger("gossipfl"), _Teller(tell)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)


def follow(
    lines: Iterable[str], show: Callable[[Progress], None], begun: Callable[[int], None] = lambda _pid: None
) -> Outcome | None:
    """Reads what a server says until it is through, and warns as it does; None when it says nothing more.

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
            case {"warning": str(text)}:
                logger.warning("%s", text)
            case {"outcome": dict(values)}:
                return Outcome(**values)
            case {"error": {"kind": str(kind), "message": str(message)}}:
                raise _error(kind, message)
    return None


def _error(kind: str, message: str) -> Exception:
    known: Mapping[str, Any] = vars(errors)
    found: Exception = known[kind](message)
    return found
