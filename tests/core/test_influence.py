import numpy as np
import pytest

from gossipfl.core.events import Report
from gossipfl.core.influence import influence
from gossipfl.core.messages import Header


def report(number: int, step: int, weights: dict[str, float], sources: dict[str, Header], kept: float) -> Report:
    return Report(number, number, step, weights, {}, (), sources, kept)


def test_a_node_that_alone_trained_has_all_the_influence() -> None:
    reports = [
        ("a", report(1, 10, {"a": 1.0}, {}, 1.0)),
        ("b", report(1, 0, {"b": 0.5, "a": 0.5}, {"a": Header(1, 10)}, 0.5)),
    ]
    assert influence(reports, ["a", "b"]).tolist() == [1, 0]


def test_training_published_before_its_mixing_counts_for_the_receiver() -> None:
    header = Header(0, 10)
    reports = [(name, report(1, 10, {name: 0.5, other: 0.5}, {other: header}, 0.5)) for name, other in ("ab", "ba")]
    assert influence(reports, ["a", "b"]) == pytest.approx([0.5, 0.5])


def test_without_training_it_is_the_weight_of_the_initial_states() -> None:
    reports = [("b", report(1, 0, {"b": 0.25, "a": 0.75}, {"a": Header(0, 0)}, 0.25))]
    assert influence(reports, ["a", "b"]) == pytest.approx([1.75 / 2, 0.25 / 2])
    assert influence([], ["a", "b", "c"]) == pytest.approx(np.full(3, 1 / 3))


def test_a_node_back_from_a_checkpoint_repeats_its_rounds() -> None:
    first = [("a", report(n, 10 * n, {"a": 1.0}, {}, 1.0)) for n in (1, 2, 3)]
    again = [("a", report(2, 20, {"a": 1.0}, {}, 1.0)), ("b", report(1, 20, {"b": 1.0}, {}, 1.0))]
    assert influence([*first, *again], ["a", "b"]) == pytest.approx([0.5, 0.5])
