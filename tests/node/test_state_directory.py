"""The state directory: private, locked, and it knows which experiment it belongs to."""

import json
from pathlib import Path

import pytest

from gossipfl.errors import StateError
from gossipfl.node.state_directory import StateDirectory


def test_only_its_owner_may_look_inside(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_two_nodes_never_share_one(tmp_path: Path) -> None:
    with StateDirectory(tmp_path), pytest.raises(StateError, match="another process"):
        StateDirectory(tmp_path)
    with StateDirectory(tmp_path):
        pass


def test_incarnations_rise_over_lives_and_above_what_neighbors_saw(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as directory:
        assert directory.next_incarnation() == 1
    with StateDirectory(tmp_path) as directory:
        assert directory.next_incarnation() == 2
        assert directory.next_incarnation(above=7) == 8


def test_another_experiment_is_refused_by_the_component_that_differs(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as directory:
        directory.check_experiment({"model": "a", "head": "b"}, "seed: 0\n")
        directory.check_experiment({"model": "a", "head": "b"}, "seed: 0\n")
        with pytest.raises(StateError, match="head differ"):
            directory.check_experiment({"model": "a", "head": "c"}, "seed: 1\n")


def test_a_line_torn_by_a_kill_spoils_only_itself(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as directory:
        directory.metrics.write_text('{"step": 1}\n{"ste')
        directory.append_metrics('{"step": 2}')
        first, torn, last = directory.metrics.read_text().splitlines()
    assert (json.loads(first), torn, json.loads(last)) == ({"step": 1}, '{"ste', {"step": 2})
