"""The page of all commands: what `--help` prints of each, made from the commands themselves."""

from collections.abc import Iterator

import click
import typer

from gossipfl.cli.app import COMMANDS, app

_WIDTH = 96
_OPENING = """\
# Commands

What `--help` says of every command, made from the code by `scripts/reference`. Exit codes: 0 done; 2 a mistake of the
user's, one line `error: …` on stderr; 130 Ctrl-C; 1 anything else. A command that gives a result prints it as one JSON
object with `--json`.
"""


def command_reference() -> str:
    """The whole page as Markdown."""
    root = _help(typer.main.get_command(app), "gossipfl")
    sections = [_OPENING, f"## gossipfl\n\n{root}"]
    for name, entry in COMMANDS.items():
        sections += _sections(entry.load(), f"gossipfl {name}", level=2)
    return "\n".join(sections)


def _sections(command: click.Command, path: str, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}\n\n{_help(command, path)}"
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from _sections(inner, f"{path} {name}", level=level + 1)


def _help(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path, terminal_width=_WIDTH, max_content_width=_WIDTH)
    return f"```text\n{command.get_help(context)}\n```\n"
