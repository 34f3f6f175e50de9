"""How a long run shows where it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gossipfl.cli.output import console, note
from gossipfl.core.json_text import json_text
from gossipfl.runs.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def progress_line() -> Iterator[Callable[[Progress], None]]:
    """A line on a terminal that is written over and gone in the end, now and then a JSON line otherwise."""
    screen = console()
    last = [0.0]
    every_s = 0.2 if screen.is_terminal else 5.0

    def show(progress: Progress) -> None:
        if progress.seconds - last[0] < every_s:
            return
        last[0] = progress.seconds
        if screen.is_terminal:
            _write_over(screen, _told(progress))
        else:
            note(json_text(progress))

    try:
        yield show
    finally:
        if last[0] and screen.is_terminal:
            _write_over(screen, "")


def _told(progress: Progress) -> str:
    speed = progress.steps / progress.seconds
    left = "" if progress.left_s is None else f"  {progress.left_s:.0f} s left"
    return f"round {progress.rounds:.1f}  virtual {progress.virtual_s:.1f} s  {speed:.0f} node-steps/s{left}"


def _write_over(screen: "Console", text: str) -> None:
    # the last column would begin a new line
    width = max(0, screen.width - 1)
    screen.print(text[:width].ljust(width), end="\r", soft_wrap=True)
