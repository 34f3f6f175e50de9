"""How commands that compare say how far they are, and by which command."""

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipfl.cli.output import console, note
from gossipfl.core.json_text import json_text

if TYPE_CHECKING:
    from gossipfl.studies.compare_jobs import Advance


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["gossipfl", *sys.argv[1:]])


def comparison_progress() -> Callable[["Advance"], None]:
    """A line on a terminal that is written over, a JSON line every few seconds and with every end otherwise."""
    screen = console()
    shown = [-1.0, -1.0]

    def show(advance: "Advance") -> None:
        every_s = 0.2 if screen.is_terminal else 5.0
        ended = advance.done + advance.faulty
        if advance.seconds - shown[0] < every_s and ended == shown[1]:
            return
        shown[:] = [advance.seconds, ended]
        if screen.is_terminal:
            screen.print(_line(advance), end="\r", overflow="ellipsis", no_wrap=True)
        else:
            note(json_text(advance))

    return show


def _line(advance: "Advance") -> str:
    faulty = f", {advance.faulty} without a result" if advance.faulty else ""
    left = "" if advance.left_s is None else f"  {advance.left_s:.0f} s left"
    running = "  ".join(f"{name} {share:.0%}" for name, share in advance.running.items())
    return f"{advance.done} of {advance.runs} runs done{faulty}  {running}{left}".ljust(100)
