"""The conventions of every command: exit codes, one line for a mistake, nothing slow before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from gossipfl.cli.app import COMMANDS, main
from gossipfl.cli.groups import Entry

PROBE = '''
import typer
from gossipfl.cli.options import command_app
from gossipfl.errors import ConfigError, PeerError

app = command_app()

@app.command()
def probe(how: str) -> None:
    """Ends in the wished way."""
    match how:
        case "user": raise ConfigError("field: 3,\\nshould be 4")
        case "peer": raise PeerError("the peer left", peer="a", reason="gone")
        case "bug": raise KeyError("ours")
        case "interrupt": raise KeyboardInterrupt
        case "exit": raise typer.Exit(7)
'''


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `probe` in the table."""
    (tmp_path / "probe_command.py").write_text(PROBE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "probe_command", raising=False)
    assert isinstance(COMMANDS, dict)
    monkeypatch.setitem(COMMANDS, "probe", Entry("probe_command", "For tests."))


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("fine", 0, ""),
        ("user", 2, "error: field: 3, should be 4\n"),
        ("peer", 1, "error: the peer left\n"),
        ("interrupt", 130, ""),
        ("exit", 7, ""),
    ],
)
def test_a_command_ends_with_its_code_and_at_most_one_line(
    how: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", how]) == code
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("probe")
def test_a_bug_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        main(["probe", "bug"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["topolgy"], "error: there is no command 'topolgy'; did you mean 'topology'?"),
        (["qqq"], "error: there is no command 'qqq'; known: demo, init, certs"),
        (["--qqq"], "error: No such option '--qqq'"),
        (["topology", "shw"], "error: No such command 'shw'"),
        (["certs", "sign"], "error: Missing argument 'REQUEST'"),
        (["topology", "show", "ring", "--nodes", "x"], "error: Invalid value for '--nodes'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_version_and_help_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gossipfl 0.")
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == alone
    assert all(name in alone for name in COMMANDS)


def test_help_imports_nothing_heavy_and_no_command() -> None:
    code = (
        "import sys; from gossipfl.cli.app import main; main(['--help']);"
        "heavy = {'torch', 'transformers', 'peft', 'opacus', 'grpc', 'matplotlib', 'networkx', 'numpy', 'rich'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failing_process_prints_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from gossipfl.cli.app import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, "topology", "show", str(tmp_path / "x.gml")], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'x.gml'}: no such file\n"
