"""Rates, worst prompts and intervals are those of the attempts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.report.written_runs import Written, compared

from gossipfl.cli.audit_memorization import drawn
from gossipfl.cli.output import emit
from gossipfl.report.comparison import Comparison, Fault, Terms
from gossipfl.report.memorization import DISTANCES, OTHERS, OWNER, REPEATED, Memorization
from gossipfl.report.memorization_picture import draw_memorization
from gossipfl.report.memorizing import read_memorization

PROMPTS = (5, 20)
Hits = tuple[Sequence[float], Sequence[float]]
"""BLEU of each repeated passage, by prompt; 1 is word for word."""


Nodes = Mapping[str, tuple[int | None, Hits]]


def written(folder: Path, seed: int, nodes: Nodes) -> Path:
    path = folder / f"seed-{seed}.json"
    content = {name: {"distance": distance, "attempts": attempts(hits)} for name, (distance, hits) in nodes.items()}
    path.write_text(json.dumps({"nodes": content}))
    return path


def attempts(hits: Hits) -> list[dict[str, object]]:
    return [
        {"passage": number, "copies": copies, "prompt": prompt, "exact": bleu == 1, "bleu": bleu}
        for copies, passages in ((10, hits), (1, ((0.0,), (0.8,))))
        for prompt, values in zip(PROMPTS, passages, strict=True)
        for number, bleu in enumerate(values, start=copies)
    ]


def read(folder: Path, *seeds: Nodes) -> Memorization:
    before = {seed: written(folder, seed, nodes) for seed, nodes in enumerate(seeds)}
    nothing = Comparison((), Terms("none", None), None, folder / "report.html", folder)
    return read_memorization(nothing, before, "attack.json", bleu=0.75, files={})


FIRST: Nodes = {
    "n0": (0, ((0.0, 0.5), (1.0, 0.8))),
    "n1": (1, ((0.0, 0.0), (0.0, 0.9))),
    "n2": (2, ((0.0, 0.0), (0.0, 0.1))),
}
SECOND: Nodes = {
    "n0": (0, ((0.9, 0.5), (1.0, 1.0))),
    "n1": (1, ((0.0, 0.0), (0.0, 0.0))),
    "n2": (2, ((0.0, 0.0), (0.0, 0.0))),
}


def test_the_owner_is_told_from_the_others_and_the_worst_prompt_from_the_mean(tmp_path: Path) -> None:
    found = read(tmp_path, FIRST)
    (arm,) = found.arms

    owner, others = (arm.holders[name][REPEATED].values for name in (OWNER, OTHERS))
    assert {name: values[0] for name, values in owner.items()} == {
        "exact": 0.25,
        "exact_worst": 0.5,
        "bleu": 0.5,
        "bleu_worst": 1.0,
        "overlap": pytest.approx(2.3 / 4),
    }
    assert (others["exact"][0], others["bleu"][0], others["bleu_worst"][0]) == (0.0, 0.125, 0.25)
    assert found.prompts == PROMPTS
    assert found.passages == {"once": 1, "repeated": 2}


def test_distances_are_kept_apart(tmp_path: Path) -> None:
    (arm,) = read(tmp_path, FIRST).arms

    assert {place: rates[REPEATED].values["bleu_worst"][0] for place, rates in arm.distances.items()} == {
        0: 1.0,
        1: 0.5,
        2: 0.0,
    }


def test_the_interval_is_students_over_the_seeds(tmp_path: Path) -> None:
    (arm,) = read(tmp_path, FIRST, SECOND).arms
    figure = arm.holders[OWNER][REPEATED].figures["exact"]

    expected = stats.t.interval(0.95, 1, loc=np.mean([0.25, 0.5]), scale=stats.sem([0.25, 0.5]))
    assert figure.mean == pytest.approx(0.375)
    assert (figure.low, figure.high) == pytest.approx(expected)
    assert "0.38 [0.00, 1.00]" in arm.row()


def test_a_state_that_all_hold_is_the_owners_and_has_no_distance(tmp_path: Path) -> None:
    found = read(tmp_path, {"all": (None, ((0.0,), (1.0,)))})
    (arm,) = found.arms

    assert set(arm.holders) == {OWNER}
    assert arm.distances == {}
    assert arm.holders[OWNER][REPEATED].values["exact"][0] == 0.5
    assert found.distance_rows() == []


def test_it_is_drawn_and_written_with_and_without_intervals(tmp_path: Path) -> None:
    for seeds in ((FIRST,), (FIRST, SECOND), ({"all": (None, ((0.0,), (1.0,)))},)):
        found = read(tmp_path, *seeds)
        text = found.as_markdown()
        assert DISTANCES in text
        assert "before training" in text
        for file in draw_memorization(found, tmp_path):
            assert file.stat().st_size > 1000
        json.dumps(found.as_json())


def test_no_interval_is_told_where_all_seeds_agree(tmp_path: Path) -> None:
    nothing: Nodes = {"n0": (0, ((0.0, 0.0), (0.0, 0.0)))}
    (arm,) = read(tmp_path, nothing, nothing, nothing).arms
    figure = arm.holders[OWNER][REPEATED].figures["exact"]

    # nobody in a few dozen is not nobody: an interval without width would say so
    assert (figure.mean, figure.low, figure.high, figure.pairs) == (0.0, None, None, 3)
    assert arm.row()[1] == "0.00"


def test_a_run_without_a_result_is_in_no_figure_and_is_told_of(tmp_path: Path) -> None:
    gone = Fault("failed", "no room was left")
    comparison = compared(
        tmp_path,
        {"gone": [gone, gone], "wild": [Written([3.0, 2.0], figure="loss"), Fault("diverged", "no longer finite")]},
    )
    for seed, nodes in enumerate((FIRST, SECOND)):
        folder = tmp_path / "runs" / "wild" / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        written(folder, seed, nodes).rename(folder / "attack.json")

    found = read_memorization(comparison, {}, "attack.json", bleu=0.75, files={})

    before, lost, wild = found.arms
    assert (before.loss, lost.loss, wild.loss) == (3.0, None, 2.0)
    assert (lost.seeds, wild.seeds) == ((), (0,))
    assert [arm["failures"] for arm in found.as_json()["arms"]] == [
        [],
        [{"seed": seed, "status": "failed", "message": "no room was left"} for seed in (0, 1)],
        [{"seed": 1, "status": "diverged", "message": "no longer finite"}],
    ]
    assert "wild, seed 1: diverged: no longer finite" in found.as_markdown()


def test_no_figure_is_cut_off_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(tmp_path, FIRST, SECOND, FIRST)
    (arm,) = found.arms
    wide = replace(arm, name="full-third-rate-gossip", loss=2.1234, loss_std=0.01, epsilon=7.99)

    emit({}, json=False, text=drawn(replace(found, arms=(arm, wide))))

    text = capsys.readouterr().out
    assert "…" not in text
    for figure in (*wide.row(), *found.distance_rows()[0]):
        assert figure in text
