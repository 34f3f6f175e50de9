"""What a task measures beside loss and accuracy, from an evaluation into a run's lines, result and reading."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.written_runs import Written, write_run

from gossipfl.errors import DataError
from gossipfl.learning.evaluation import Evaluation
from gossipfl.report.runs import read_runs
from gossipfl.runs.judging import Judgment
from gossipfl.runs.lines import Standing, judged_line, node_columns
from gossipfl.runs.result import final_figures
from gossipfl.runs.spread import Spread

NODES = ("n0", "n1", "n2")
FOUR = ["own_loss", "own_accuracy", "test_loss", "test_accuracy"]


def judged(own: dict[str, float], test: dict[str, float]) -> Judgment:
    return Judgment(Evaluation(1.0, 0.5, None, 10, own), Evaluation(2.0, 0.25, None, 20, test))


def columns_of(judgments: dict[str, Judgment]) -> dict[str, Any]:
    standing = Standing(NODES, 0.0, [1] * 3, [1] * 3, [1] * 3, [1.0] * 3, [True] * 3, [False] * 3)
    return node_columns(standing, Spread(np.zeros(1), np.zeros(3)), judgments)


def line_of(columns: dict[str, Any], honest: list[bool] | None = None) -> dict[str, object]:
    return {"consensus_distance": 0.0, **judged_line(columns, None, honest)}


def test_each_measure_is_a_column_of_each_part_and_a_mean_of_those_who_have_it() -> None:
    columns = columns_of({"n0": judged({"macro_f1": 0.2}, {"macro_f1": 0.4}), "n1": judged({}, {"macro_f1": 0.8})})
    assert columns["own_macro_f1"] == [0.2, None, None]
    assert columns["test_macro_f1"] == [0.4, 0.8, None]
    line = line_of(columns)
    assert (line["own_macro_f1"], line["test_macro_f1"]) == (0.2, pytest.approx(0.6))
    assert final_figures(dict(line))["mean_macro_f1"] == pytest.approx(0.6)


def test_attackers_do_not_count_in_the_mean_of_a_measure() -> None:
    columns = columns_of({"n0": judged({}, {"macro_f1": 0.4}), "n1": judged({}, {"macro_f1": 0.8})})
    assert line_of(columns, [True, False, True])["test_macro_f1"] == 0.4


def test_a_task_without_measures_has_the_four_keys_alone() -> None:
    columns = columns_of({name: judged({}, {}) for name in NODES})
    assert [key for key in columns if key.startswith(("own_", "test_"))] == FOUR
    assert [key for key in line_of(columns) if key.startswith(("own_", "test_"))] == FOUR


def test_measures_are_read_back_by_their_keys_and_others_are_unknown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", Written(means=(0.1, 0.2), said=(0.3, 0.4)))
    _add(folder / "nodes.jsonl", test_macro_f1=[0.1, None, 0.3])
    (run,) = read_runs([folder])
    summary, columns = run.evaluations[-1]
    assert summary.figure("test_token_accuracy") == 0.4
    assert summary.figure("test_accuracy") == summary.test_accuracy == 0.2
    assert np.isnan(summary.figure("test_macro_f1"))
    assert np.array(columns.column("test_macro_f1")) == pytest.approx([0.1, np.nan, 0.3], nan_ok=True)
    assert columns.column("own_macro_f1") == ()


def test_a_column_of_a_measure_has_a_value_a_node(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", Written(means=(0.1, 0.2)))
    _add(folder / "nodes.jsonl", test_macro_f1=[0.1])
    with pytest.raises(DataError, match="columns of"):
        read_runs([folder])


def _add(path: Path, **keys: object) -> None:
    lines = [json.loads(line) | keys for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
