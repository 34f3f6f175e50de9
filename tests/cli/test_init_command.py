"""`gossipfl init`: what it writes can be loaded, and what it cannot make sound it does not begin."""

from pathlib import Path

import pytest
import yaml

from gossipfl.cli.app import main
from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_peers
from gossipfl.config.writing import TASKS

NOWHERE = ("--model", "./nowhere")
"""No model at hand: every node will compute its own basis."""


def init(folder: Path, *options: str) -> int:
    return main(["init", str(folder), *NOWHERE, *options])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that was said."""
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nodes", "a,a"], "--nodes: a name is given twice"),
        (["--nodes", "a_b,c"], "'a_b'"),
        (["--nodes", "../../evil,c"], "'../../evil'"),
        (["--nodes", "a,,b"], "node name ''"),
        (["--nodes", "authority,b"], "cannot be called 'authority'"),
        (["--nodes", "a"], "at least two names"),
        (["--nodes", "a,b", "--host", "bad host"], "--host: 'bad host:50051'"),
        (["--nodes", "a,b", "--host", "::1"], "IPv6 in brackets"),
        (["--nodes", ",".join(f"n{place}" for place in range(600)), "--base-port", "65000"], "port from 1 to 65535"),
        (["--nodes", "a,b", "--labels", "ham"], "experiment.yaml, as it would be written: task.labels"),
        (["--nodes", "a,b", "--labels", "ham,ham,spam"], "a label is named twice"),
        (["--nodes", "a,b", "--task", "summarize"], "--task 'summarize': one of sequence-classification, causal-lm"),
        (["--nodes", "a,b", "--task", "token-classification"], "as it would be written: task.labels"),
        (["--nodes", "a,b", "--task", "multiple-choice", "--labels", "a,b"], "--labels: --task multiple-choice has no"),
    ],
)
def test_what_makes_no_sound_experiment_is_one_line_and_writes_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outer").mkdir()
    assert init(tmp_path / "outer" / "study", *options) == 2
    assert said in refused(capsys)
    assert [path.name for path in tmp_path.rglob("*")] == ["outer"]


def test_the_corrected_command_does_what_the_mistaken_one_did_not(tmp_path: Path) -> None:
    assert init(tmp_path / "study", "--nodes", "a,b", "--labels", "ham") == 2
    assert init(tmp_path / "study", "--nodes", "a,b", "--labels", "ham,spam") == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--nodes", "no,1,0x1f,null"],
        ["--nodes", "a,b", "--host", "[::1]"],
        ["--nodes", "a,b", "--labels", "yes,no,#,Bär,🐻"],
        ["--nodes", "a,b", "--model", "some: model #1"],
    ],
)
def test_what_yaml_would_misread_is_quoted(options: list[str], tmp_path: Path) -> None:
    assert init(tmp_path / "study", *options) == 0
    loaded = load_peers(tmp_path / "study" / "peers.yaml")
    assert list(loaded.names) == options[1].split(",")
    for node in loaded.peers.nodes:
        assert node.key is not None
        assert (loaded.folder / node.key).is_file()
    if "--labels" in options:
        assert list(loaded.experiment.experiment.task.labels) == options[3].split(",")
    if "--model" in options:
        assert loaded.experiment.experiment.model.source == options[3]


@pytest.mark.parametrize("there", ["peers.yaml", "experiment.yaml", "certs/b.key"])
def test_nothing_is_overwritten_and_nothing_added_to_it(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / there).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert init(tmp_path, "--nodes", "a,b") == 2
    assert f"{there} exists already" in refused(capsys)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("file", "is a file, a folder was expected"),
        ("file/below", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("taken", "taken/data cannot be written: File exists"),
        ("certs-taken", "certs is a file"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(
    folder: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for name, inner in (("taken", "data"), ("certs-taken", "certs")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inner).write_text("")
    assert init(tmp_path / folder, "--nodes", "a,b") == 2
    assert said in refused(capsys)
    assert not list(tmp_path.rglob("*.yaml"))


def test_a_demo_wants_a_folder_and_not_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--output", str(tmp_path / "file")]) == 2
    assert "--output" in refused(capsys)
    assert main(["demo", "--output", str(tmp_path / "file" / "below")]) == 2
    assert "--output" in refused(capsys)
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "is not empty" in refused(capsys)


LABELED = {"sequence-classification", "token-classification", "image-classification"}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_begins_with_files_that_say_what_is_read(task: str, tmp_path: Path) -> None:
    labels = ["--labels", "cat,dog"] if task in LABELED else []
    assert init(tmp_path / "study", "--nodes", "a,b", "--task", task, *labels, "--no-certificates") == 0
    loaded = load_peers(tmp_path / "study" / "peers.yaml")
    experiment = loaded.experiment.experiment
    assert experiment.task.kind == task
    assert experiment.task.labels == (("cat", "dog") if task in LABELED else ())
    written = yaml.safe_load((tmp_path / "study" / "experiment.yaml").read_text())["data"]
    assert {*written} - {"held_out"} == {*asked_columns(experiment)}
    ending = "" if task == "image-classification" else ".jsonl"
    assert [node.data for node in loaded.peers.nodes] == [f"data/a{ending}", f"data/b{ending}"]


def asked_columns(experiment: Experiment) -> list[str]:
    match experiment.task.kind:
        case "token-classification":
            return ["words", "tags"]
        case "multiple-choice":
            return ["question", "choices", "answer"]
        case "image-classification":
            return ["image", "label"]
        case "sequence-classification":
            return ["text", "label"]
        case _:
            return ["prompt", "response"]


def test_a_task_that_minilm_cannot_do_wants_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "study"), "--nodes", "a,b", "--task", "seq2seq-lm"]) == 2
    assert "--model: task seq2seq-lm wants a model of its kind, as google/flan-t5-small" in refused(capsys)
    assert not (tmp_path / "study").exists()
