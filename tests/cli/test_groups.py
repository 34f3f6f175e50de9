"""A group that also does something without a subcommand."""

import pytest
import typer

from gossipfl.cli.options import command_app, example


def certs() -> typer.Typer:
    app = command_app(default="make")

    @app.command("make", hidden=True)
    def make(folder: str, *, nodes: str = "") -> None:
        typer.echo(f"make {folder} {nodes}")

    @app.command("sign")
    def sign(request: str) -> None:
        typer.echo(f"sign {request}")

    return app


@pytest.mark.parametrize(
    ("arguments", "done"),
    [
        (["DIR", "--nodes", "a,b"], "make DIR a,b\n"),
        (["--nodes", "a,b", "DIR"], "make DIR a,b\n"),
        (["make", "DIR"], "make DIR \n"),
        (["sign", "x.csr"], "sign x.csr\n"),
    ],
)
def test_the_default_runs_when_the_first_argument_names_no_command(
    arguments: list[str], done: str, capsys: pytest.CaptureFixture[str]
) -> None:
    typer.main.get_command(certs()).main(args=arguments, prog_name="certs", standalone_mode=False)
    assert capsys.readouterr().out == done


def test_help_is_the_groups_and_hides_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    typer.main.get_command(certs()).main(args=["--help"], prog_name="certs", standalone_mode=False)
    out = capsys.readouterr().out
    assert "sign" in out
    assert "make" not in out


def test_examples_keep_their_lines() -> None:
    assert example("one", "two") == "\b\nExample:\n  one\n  two"
