"""What is switched on and not installed is said at once, with the command that installs it."""

import sys

import pytest

from gossipfl.cli.app import main


@pytest.mark.parametrize(
    ("module", "arguments", "remedy"),
    [
        ("opentelemetry.sdk", ["node", "--traces", "http://127.0.0.1:4318"], "scripts/install opentelemetry"),
        ("opentelemetry", ["node", "--traces", "http://127.0.0.1:4318"], "scripts/install opentelemetry"),
        ("tensorboard", ["node", "--tensorboard", "curves"], "scripts/install tensorboard"),
        ("tensorboard", ["simulate", "experiment.yaml", "--tensorboard", "curves"], "scripts/install tensorboard"),
    ],
)
def test_a_missing_extra_is_one_line_with_its_remedy(
    module: str,
    arguments: list[str],
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # as where it is not there
    monkeypatch.setitem(sys.modules, module, None)
    peers = ["--peers", "peers.yaml"] if arguments[0] == "node" else []
    assert main([*arguments, *peers]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: --")
    assert remedy in said
    assert "\n" not in said
