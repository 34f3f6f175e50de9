"""What the pages show can be done: their shell blocks run, their commands and options are there."""

import re
import shlex
from pathlib import Path

import click
import pytest
from tests.docs.pages import DOCS, SLOW, pages, run_page, shown_commands

from gossipfl.cli.app import COMMANDS


def by_name(path: Path) -> str:
    return str(path.relative_to(DOCS))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if SLOW not in page.read_text()], ids=by_name)
def test_what_a_page_shows_can_be_done(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


@pytest.mark.slow(50)
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("page", [page for page in pages() if SLOW in page.read_text()], ids=by_name)
def test_what_a_page_shows_can_be_done_and_trains(page: Path, tmp_path: Path) -> None:
    assert run_page(page, tmp_path) > 0


def test_blocks_run_in_one_folder_and_their_failures_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    block = "```bash\n{}\n```\n\n```text\n{}\n```\n"
    page.write_text(block.format("echo one > file", "") + block.format("cat file", "o..."))
    (tmp_path / "good").mkdir()
    assert run_page(page, tmp_path / "good") == 2
    for number, (command, shown) in enumerate((("false", ""), ("echo one", "two"), ("false | cat", ""))):
        page.write_text(block.format(command, shown))
        (tmp_path / str(number)).mkdir()
        with pytest.raises(Exception, match="did not evaluate"):
            run_page(page, tmp_path / str(number))


def test_every_command_that_is_shown_has_the_options_it_is_shown_with() -> None:
    shown = list(shown_commands())
    assert len(shown) > 20
    assert [(by_name(page), line, wrong) for page, line in shown if (wrong := unknown(line))] == []


def test_an_option_that_is_not_there_is_found() -> None:
    assert unknown("node --peers a.yaml --nobody-has-this")
    assert unknown("nobody-has-this")
    assert unknown("certs nobody-has-this a.csr --name a") is not None
    assert unknown("node --peers a.yaml --name north > log 2>&1 &") is None


def unknown(line: str) -> str | None:
    """The option, or command, of the line that does not exist."""
    words = shlex.split(re.split(r"[>|#]", line, maxsplit=1)[0].rstrip("& "))
    if words[0] not in COMMANDS:
        return words[0]
    command = COMMANDS[words.pop(0)].load()
    if isinstance(command, click.Group):
        inner = command.commands.get(words[0]) if words else None
        # `certs DIR` is the group's hidden default
        command = inner or command.commands.get("make", command)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return next((word for word in words if word.startswith("--") and word not in {*options, "--help"}), None)
