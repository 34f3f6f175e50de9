"""`gossipfl plot` as a user runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.report.recorded_runs import averaged, trained

from gossipfl.cli.app import main

HEADS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".gif": b"GIF89a"}


def plotted(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["plot", *map(str, arguments), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def names(files: list[str]) -> set[str]:
    return {Path(file).name for file in files}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that was trained."""
    return trained(tmp_path_factory.mktemp("trained") / "digits")


@pytest.fixture(scope="module")
def gossip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of gossip alone."""
    return averaged(tmp_path_factory.mktemp("averaged"))


def test_pictures_of_one_run_are_written_into_its_folder(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = plotted(capsys, digits)["files"]
    stems = ("accuracy", "consensus", "graph")
    assert names(files) == {"graph.gif", *(f"{stem}.{ending}" for stem in stems for ending in ("png", "svg"))}
    for path in map(Path, files):
        assert path.parent == digits
        assert path.read_bytes().startswith(HEADS[path.suffix])
        if path.suffix != ".svg":
            with Image.open(path) as image:
                image.load()


@pytest.mark.slow
def test_equal_runs_give_equal_files_and_people_read_their_names(
    tmp_path: Path, gossip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", str(gossip)]) == 0
    first = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith(str(gossip))]
    second = plotted(capsys, averaged(tmp_path))["files"]
    assert gossip / "graph.gif" in first
    assert [path.name for path in first] == [Path(path).name for path in second]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == Path(other).read_bytes()


@pytest.mark.slow
def test_unlike_runs_share_a_folder(
    tmp_path: Path, digits: Path, gossip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = plotted(capsys, digits, gossip)["files"]
    assert {"accuracy.png", "consensus.svg", "graph-digits.png", "graph-run.gif"} <= names(files)
    (folder,) = {Path(file).parent for file in files}
    assert folder.parent == Path("runs")
    assert folder.name.startswith("plots-")


def test_a_large_graph_is_not_animated_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = averaged(tmp_path, simulation__nodes=301, gossip__settle_rounds=1)
    result = plotted(capsys, folder, "--output", tmp_path / "pictures")
    assert names(result["files"]) == {"consensus.png", "consensus.svg", "graph.png", "graph.svg"}
    assert result["notes"] == ["run: no animation of 301 nodes, only up to 300"]


def test_a_mistake_is_one_line(tmp_path: Path, gossip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = gossip
    (tmp_path / "empty").mkdir()
    mistakes: list[tuple[list[Path | str], str]] = [
        ([tmp_path / "nowhere"], f"{tmp_path / 'nowhere'} is not there; the folder of a run was expected"),
        ([folder / "metrics.jsonl"], f"{folder / 'metrics.jsonl'} is a file; the folder of a run was expected"),
        ([tmp_path / "empty"], f"{tmp_path / 'empty'} is no run's folder: there is no topology.json in it"),
        ([folder, folder], f"{folder} is given twice"),
        ([folder, "--output", folder / "config.yaml"], f"--output {folder / 'config.yaml'}: "),
        ([], "Missing argument 'RUN...'"),
    ]
    for arguments, said in mistakes:
        assert main(["plot", *map(str, arguments)]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {said}")
        assert captured.err.count("\n") == 1
