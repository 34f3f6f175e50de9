"""How a long run shows where it is."""

from collections.abc import Callable

from gossipfl.cli.output import console, note
from gossipfl.core.json_text import json_text
from gossipfl.runs.progress import Progress


def progress_line() -> Callable[[Progress], None]:
    """A line on a terminal that is written over, now and then a JSON line otherwise."""
    screen = console()
    last = [0.0]
    every_s = 0.2 if screen.is_terminal else 5.0

    def show(progress: Progress) -> None:
        if progress.seconds - last[0] < every_s:
            return
        last[0] = progress.seconds
        speed = progress.steps / progress.seconds if progress.seconds else 0.0
        if screen.is_terminal:
            left = "" if progress.left_s is None else f"  {progress.left_s:.0f} s left"
            text = f"round {progress.rounds:.1f}  virtual {progress.virtual_s:.1f} s  {speed:.0f} node-steps/s{left}"
            screen.print(text, end="\r")
        else:
            note(json_text(progress))

    return show
