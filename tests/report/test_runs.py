"""Runs as they are read back: what was recorded, or one line that says what is wrong."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.report.recorded_runs import averaged
from tests.sim.averaging import lines

from gossipfl.errors import DataError
from gossipfl.report.runs import read_runs


def test_a_run_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    (run,) = read_runs([averaged(tmp_path)])
    assert run.label == "run"
    assert list(run.graph) == [f"n{number}" for number in range(6)]
    assert run.graph.number_of_edges() == 6
    recorded = lines(tmp_path)
    assert [evaluation.summary.bound for evaluation in run.evaluations] == [line["bound"] for line in recorded]
    assert all(math.isnan(evaluation.summary.test_loss) for evaluation in run.evaluations)


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    runs = read_runs([averaged(tmp_path / "first"), averaged(tmp_path / "second")])
    assert [run.label for run in runs] == ["first/run", "second/run"]


def test_a_run_that_goes_on_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    folder = averaged(tmp_path)
    metrics, nodes = folder / "metrics.jsonl", folder / "nodes.jsonl"
    count = len(metrics.read_text().splitlines())
    nodes.write_text(nodes.read_text()[:-20])
    (run,) = read_runs([folder])
    assert len(run.evaluations) == count - 1


def test_infinity_and_null_are_numbers(tmp_path: Path) -> None:
    folder = averaged(tmp_path)
    line = {**lines(tmp_path)[0], "test_loss": "Infinity", "test_accuracy": None}
    rest = (folder / "metrics.jsonl").read_text().split("\n", 1)[1]
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n" + rest)
    (run,) = read_runs([folder])
    assert math.isinf(run.evaluations[0].summary.test_loss)
    assert math.isnan(run.evaluations[0].summary.test_accuracy)


def cut_a_column(folder: Path) -> None:
    path = folder / "nodes.jsonl"
    first, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps({**json.loads(first), "distance": [1.0]}) + "\n" + rest)


def put_a_folder(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink()
    (folder / "metrics.jsonl").mkdir()


def drop_lines(folder: Path) -> None:
    path = folder / "nodes.jsonl"
    path.write_text(path.read_text().split("\n", 1)[0] + "\n")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metrics": (lambda run: (run / "metrics.jsonl").unlink(), "is no run's folder: there is no metrics.jsonl in it"),
    "no topology": (lambda run: (run / "topology.json").unlink(), "there is no topology.json in it"),
    "empty metrics": (lambda run: (run / "metrics.jsonl").write_text(""), "metrics.jsonl holds no evaluation"),
    "no json": (lambda run: (run / "metrics.jsonl").write_text("{]\n"), "metrics.jsonl: line 1: Invalid JSON"),
    "no number": (
        lambda run: (run / "metrics.jsonl").write_text('{"virtual_s": "soon"}\n'),
        "metrics.jsonl: line 1: virtual_s: Input should be a valid number",
    ),
    "no text": (lambda run: (run / "nodes.jsonl").write_bytes(b"\xff\xfe"), "nodes.jsonl is no text"),
    "a folder": (put_a_folder, "directory"),
    "a short column": (cut_a_column, r"line 1: columns of \[1, 6\] values for 6 nodes"),
    "missing lines": (drop_lines, r"lines in metrics.jsonl, 1 in nodes.jsonl"),
    "an unknown node": (
        lambda run: (run / "topology.json").write_text('{"nodes": ["n0"], "edges": [["n0", "n9"]]}'),
        "an edge to a node that is none",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_error(damage: str, tmp_path: Path) -> None:
    change, said = DAMAGES[damage]
    folder = averaged(tmp_path)
    change(folder)
    with pytest.raises(DataError, match=said):
        read_runs([folder])
