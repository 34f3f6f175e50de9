"""Command groups that import a command's module only when it is run."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

import click
import typer
import typer.core
from typer.core import TyperCommand, TyperGroup

from gossipfl.importing import quick_import

# plain help: Typer would escape brackets for a markup that we do not use
typer.core.HAS_RICH = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the table.

    Attributes:
        module: where its `app` is.
        summary: its line in the list of commands.
    """

    module: str
    summary: str

    def load(self) -> click.Command:
        """Imports the module and gives its command; a missing module raises as it is."""
        app = quick_import(self.module).app
        return typer.main.get_command(app)


class Resolved(NamedTuple):
    """What click wants of a group: name and command to run, arguments left for it."""

    name: str | None
    command: click.Command | None
    rest: list[str]


def lazy_group(entries: Mapping[str, Entry]) -> type[TyperGroup]:
    """A group class whose list of commands comes from the table; `--help` imports none of them."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
            return list(entries)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
            entry = entries.get(cmd_name)
            return None if entry is None else TyperCommand(cmd_name, help=entry.summary, rich_markup_mode=None)

        def resolve_command(self, ctx: click.Context, args: list[str]) -> Resolved:
            name, rest = args[0], args[1:]
            if name in entries:
                command = entries[name].load()
                command.name = name
                return Resolved(name, command, rest)
            if ctx.resilient_parsing:
                return Resolved(None, None, rest)
            near = get_close_matches(name, entries, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(entries)}"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)

    return LazyGroup


def default_group(default: str) -> type[TyperGroup]:
    """A group class that runs the command `default` when the first argument names no command."""

    class DefaultGroup(TyperGroup):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            wants_help = args[:1] in ([], *([name] for name in ctx.help_option_names))
            if not wants_help and args[0] not in self.commands:
                args = [default, *args]
            return super().parse_args(ctx, args)

    return DefaultGroup
