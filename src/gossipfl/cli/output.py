"""How every command prints: its result on stdout, everything else on stderr.

With `--json` the result is one JSON object, the last line of stdout; NaN and infinity as `core.json_text` writes them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gossipfl.core.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PIPE_WIDTH = 160
"""Columns when stdout is no terminal: rich would otherwise cut tables at 80."""


def emit(result: Mapping[str, object], *, json: bool, text: "RenderableType") -> None:
    """Prints a command's result: the JSON object, or `text` (a string or anything rich can draw) for people."""
    if json:
        print(json_text(result), flush=True)  # noqa: T201
    else:
        console(stderr=False).print(text, soft_wrap=isinstance(text, str))


def say(piece: str) -> None:
    """A piece of a text that is still coming; stdout, at once."""
    print(piece, end="", flush=True)  # noqa: T201


def note(message: str) -> None:
    """One line for people about what goes on; stderr."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201


def console(*, stderr: bool = True) -> "Console":
    """A rich console without markup, so that `[0, 1]` stays what it is; progress belongs on stderr."""
    from rich.console import Console  # noqa: PLC0415  # --json and --help do without

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, markup=False, highlight=False, width=width)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> "Table":
    """A plain table; numbers (already formatted or not) to the right, text to the left."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    cells = [[_cell(value) for value in row] for row in rows]
    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for place, column in enumerate(columns):
        numeric = all(_is_number(row[place]) for row in cells)
        drawn.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in cells:
        drawn.add_row(*row)
    return drawn


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


def _is_number(cell: str) -> bool:
    try:
        float(cell.rstrip("%").replace(",", ""))
    except ValueError:
        return cell == "–"
    return True
