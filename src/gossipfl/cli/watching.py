"""A node's progress: one live line on a terminal, JSON lines on stderr otherwise."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gossipfl.cli.output import console, note
from gossipfl.core.json_text import json_text
from gossipfl.node.record import NodeRecord


@contextmanager
def watcher() -> Iterator[Callable[[NodeRecord], None]]:
    """What to tell a node's record to, for as long as the context lasts."""
    screen = console()
    if not screen.is_terminal:
        yield lambda record: note(json_text(record.as_json()))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen) as progress:
        bar = progress.add_task("waiting", total=None)

        def show(record: NodeRecord) -> None:
            progress.update(bar, description=_line(record), completed=record.step, total=record.steps_planned)

        yield show


def _line(record: NodeRecord) -> str:
    epsilon = "no ε" if math.isinf(record.receipt.epsilon) else f"ε {record.receipt.epsilon:.2f}"
    return f"{record.name} {record.state}  {epsilon}  {record.bytes_sent / 1e6:.1f} MB sent"
