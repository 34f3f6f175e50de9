"""Every command of the table is there, has a help text with an example, and takes --json."""

import click
import pytest

from gossipfl.cli.app import COMMANDS, main

SILENT = {"dashboard"}
"""Commands without a result."""


def leaves(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
    """The command, or the subcommands of a group."""
    if isinstance(command, click.Group):
        return [pair for inner, sub in command.commands.items() for pair in leaves(f"{name} {inner}", sub)]
    return [(name, command)]


def test_the_table_has_the_commands_of_the_first_issue() -> None:
    assert set(COMMANDS) >= {
        *("demo", "init", "certs", "inspect", "check", "node", "status", "topology", "privacy"),
        *("evaluate", "generate", "export"),
    }


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_registered_command_is_there_with_help_example_and_json(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, command in leaves(name, COMMANDS[name].load()):
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or name in SILENT, f"{path} has no --json"
        assert command.epilog, f"{path} has no example"
        assert f"gossipfl {name}" in command.epilog
        assert command.help, f"{path} has no help text"
    assert main([name, "--help"]) == 0
    assert "Usage: gossipfl" in capsys.readouterr().out
