"""Pages made from the code: all of it is on them, as it is now, and the same on every machine."""

import re

import click
import pytest
from tests.docs.pages import DOCS

import gossipfl
from gossipfl.cli.app import COMMANDS
from gossipfl.cli.command_reference import command_reference
from gossipfl.cli.python_reference import python_reference


@pytest.fixture(scope="module")
def commands() -> str:
    return command_reference()


def test_the_committed_pages_are_those_of_the_code(commands: str) -> None:
    assert (DOCS / "reference" / "commands.md").read_text() == commands
    assert (DOCS / "reference" / "python.md").read_text() == python_reference()


def test_every_command_and_every_option_is_on_the_page(commands: str) -> None:
    for name, entry in COMMANDS.items():
        command = entry.load()
        assert f"\n## gossipfl {name}\n" in commands
        inner = command.commands if isinstance(command, click.Group) else {}
        shown = [one for one in inner.values() if not one.hidden]
        assert [one.name for one in shown if f"\n### gossipfl {name} {one.name}\n" not in commands] == []
        for one in shown or [command]:
            options = [option for parameter in one.params for option in parameter.opts if option.startswith("--")]
            assert [option for option in options if option not in commands] == []


def test_every_public_name_is_on_the_page_with_what_it_promises() -> None:
    page = python_reference()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == gossipfl.__all__
    assert "**Raises**" in page
    assert "**Guarantees**" in page


def test_no_address_of_this_process_is_on_a_page(commands: str) -> None:
    assert " at 0x" not in python_reference() + commands
