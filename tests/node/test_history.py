"""What a node tells of its past: bounded, in order, ends with the present, and outlives the process."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.json_text import json_text
from gossipfl.learning.evaluation import Evaluation
from gossipfl.net.reports import HISTORY, Measured
from gossipfl.node.history import History, history_in
from gossipfl.node.record import NodeRecord


@given(st.lists(st.integers(0, 3), max_size=3000))
def test_it_is_bounded_rises_and_ends_with_the_last_point(moves: list[int]) -> None:
    step, steps = 0, []
    for move in moves:
        step += move
        steps.append(step)
    points = History(Measured(each, epsilon=float(place)) for place, each in enumerate(steps)).points
    assert len(points) <= HISTORY
    assert [point.step for point in points] == sorted({point.step for point in points})
    if steps:
        assert points[-1] == Measured(steps[-1], epsilon=float(len(steps) - 1))
        assert points[0].step == steps[0]


def test_what_is_left_out_is_left_out_evenly() -> None:
    steps = [point.step for point in History(Measured(step) for step in range(10_000)).points]
    gaps = {later - earlier for earlier, later in pairwise(steps)}
    assert len(steps) > HISTORY / 2
    assert len(gaps - {steps[-1] - steps[-2]}) == 1


def test_steps_that_are_done_again_are_not_there_twice() -> None:
    history = History(Measured(step, distance=1.0) for step in range(10))
    for step in (4, 5):
        history.add(Measured(step, distance=2.0))
    assert [(point.step, point.distance) for point in history.points] == [
        *((step, 1.0) for step in range(4)),
        (4, 2.0),
        (5, 2.0),
    ]


def record_at(step: int) -> NodeRecord:
    test = Evaluation(loss=1.0 / (step + 1), examples=10, accuracy=0.5, perplexity=None)
    return NodeRecord("ada", steps_planned=10, step=step, test=test)


def test_a_new_life_goes_on_with_the_points_of_the_last_a_torn_line_aside(tmp_path: Path) -> None:
    metrics, record = tmp_path / "metrics.jsonl", NodeRecord("ada", steps_planned=10)
    with metrics.open("w") as file:
        for step in range(5):
            record = record_at(step)
            file.write(json_text(record.as_json()) + "\n")
        file.write(json.dumps({"step": 7})[:-1])
    points = history_in(metrics).points
    assert [point.step for point in points] == list(range(5))
    assert [point.test_loss for point in points] == [pytest.approx(1.0 / (step + 1)) for step in range(5)]
    assert history_in(tmp_path / "nothing").points == ()


def test_metrics_of_a_long_run_are_read_by_their_ends_and_middle(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(json_text(record_at(step).as_json()) + "\n" for step in range(2000)))
    points = history_in(metrics).points
    assert len(points) <= HISTORY
    assert (points[0].step, points[-1].step) == (0, 1999)
