"""A deployment's server in earnest: alone in a folder of its own; what goes wrong is one line, a traceback in a log."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from tests.baseline.own_data import write_experiment

from gossipfl.baseline.inprocess import MemoryGrid
from gossipfl.baseline.serving import LOG, serve
from gossipfl.config.loading import load_experiment
from gossipfl.errors import ConfigError, DataError, StateError, TrainingError
from gossipfl.runs.run_config import SERVER, run_config
from gossipfl.runs.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    kept = list(root.handlers)
    yield
    for handler in set(root.handlers) - set(kept):
        root.removeHandler(handler)
        handler.close()


class Asked(MemoryGrid):
    """A grid that does something when it is asked who is there."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(ClientApp(), 2)
        self._act = act

    def get_node_ids(self) -> Iterable[int]:
        self._act()
        return super().get_node_ids()


def run(folder: Path, act: Callable[[], None], **changes: object) -> None:
    """In folder/run."""
    settings = {"experiment": str(write_experiment(folder, simulation__nodes=2, **changes))}
    settings |= {"output": str(folder / "run"), "folder": ""}
    context = Context(1, 1, {}, RecordDict(), {"trial": False, **settings})
    serve(Asked(act), context)


def test_a_bug_is_one_line_and_a_traceback_in_the_log(tmp_path: Path) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(TrainingError, match=rf"Flower's server failed: RuntimeError: a bug; see {LOG}"):
        run(tmp_path, broken)
    assert "Traceback" in (tmp_path / "run" / LOG).read_text()


def test_what_the_user_can_mend_is_a_line_in_the_log(tmp_path: Path) -> None:
    def refuse() -> None:
        raise TrainingError("0 of 2 clients were there")

    with pytest.raises(TrainingError):
        run(tmp_path, refuse)
    said = (tmp_path / "run" / LOG).read_text()
    assert "ERROR gossipfl.baseline.serving 0 of 2 clients were there" in said
    assert "Traceback" not in said


def test_nobody_else_works_in_the_folder_meanwhile(tmp_path: Path) -> None:
    refused: list[StateError] = []

    def second() -> None:
        experiment = load_experiment(tmp_path / "experiment.yaml").experiment
        directory = RunDirectory(tmp_path / "run", run_config(SERVER, experiment), resume=True)
        with pytest.raises(StateError, match="another process runs in") as caught, directory.alone():
            pass
        refused.append(caught.value)
        raise TrainingError("enough")

    with pytest.raises(TrainingError, match="enough"):
        run(tmp_path, second)
    assert refused


def test_a_folder_that_is_there_is_refused_without_advice_that_does_not_exist_here(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    with pytest.raises(DataError, match="run is there already") as caught:
        run(tmp_path, lambda: None)
    assert "--resume" not in str(caught.value)


def test_a_strategy_is_refused_before_there_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FedBest"):
        run(tmp_path, lambda: None, flower__strategy="FedBest")
    assert not (tmp_path / "run").exists()
