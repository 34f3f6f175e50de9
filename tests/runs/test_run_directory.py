"""The folder of a run: whose it is, and what is in the way of another."""

from pathlib import Path

import pytest

from gossipfl.errors import DataError, StateError, UserError
from gossipfl.runs.result import RunResult
from gossipfl.runs.run_directory import RunDirectory

CONFIG = "seed: 0\ngossip:\n  codec: fp32\n"
OTHER = "seed: 0\ngossip:\n  codec: int8\n"


def begun(path: Path, config: str = CONFIG) -> RunDirectory:
    """With one evaluation in it."""
    directory = RunDirectory(path, config, resume=False)
    directory.append({"round": 0}, {"round": [0]})
    return directory


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_ended_before_its_first_evaluation_is_in_nobodys_way(tmp_path: Path, resume: bool) -> None:  # noqa: FBT001
    RunDirectory(tmp_path, CONFIG, resume=False).write_topology(["a", "b"], lambda _name: ())
    RunDirectory(tmp_path, OTHER, resume=resume)
    assert (tmp_path / "config.yaml").read_text() == OTHER


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["config.yaml", "notes.txt"])
def test_a_file_of_somebodys_own_is_left_alone(tmp_path: Path, name: str, resume: bool) -> None:  # noqa: FBT001
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError):
        RunDirectory(tmp_path, CONFIG, resume=resume)
    assert [item.name for item in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_without_a_run_cannot_be_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="holds no run to go on with"):
        RunDirectory(tmp_path, CONFIG, resume=True)


def test_a_run_that_has_begun_wants_resume(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(DataError, match="--resume goes on"):
        RunDirectory(tmp_path, CONFIG, resume=False)
    RunDirectory(tmp_path, CONFIG, resume=True)


def test_another_configuration_is_refused_by_its_first_line_that_differs(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(StateError, match="'codec: fp32' there, 'codec: int8' here"):
        RunDirectory(tmp_path, OTHER, resume=True)
    with pytest.raises(StateError, match="'' there, 'more: 1' here"):
        RunDirectory(tmp_path, CONFIG + "more: 1\n", resume=True)


def test_two_processes_do_not_run_in_one_folder(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, CONFIG, resume=False)
    with directory.alone():
        with pytest.raises(StateError, match="another process"):
            RunDirectory(tmp_path, OTHER, resume=False)
        directory.append({"round": 0}, {"round": [0]})
        other = RunDirectory(tmp_path, CONFIG, resume=True)
        with pytest.raises(StateError, match="another process"), other.alone():
            pass
    assert (tmp_path / "config.yaml").read_text() == CONFIG
    with other.alone():
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_a_damaged_result_is_one_error(tmp_path: Path, content: str) -> None:
    directory = begun(tmp_path)
    (tmp_path / "result.json").write_text(content, encoding="latin-1")
    with pytest.raises(StateError, match="damaged"):
        directory.result()


def test_a_result_of_another_version_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no 'bytes_per_node'"):
        RunResult.from_json({"final": {}}, tmp_path)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="File exists"):
        RunDirectory(tmp_path / "file", CONFIG, resume=False)
