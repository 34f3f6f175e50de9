"""Records of every kind say which part of a dataset they are, and are the same to the ledger whenever they come."""

import json
from typing import Any

import datasets
import pytest
from tests.learning.tiny_vit import encoded, noise

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.errors import DataError
from gossipfl.learning.data import sort_out
from gossipfl.learning.data.records import Record, to_records

IMAGES = [{"bytes": encoded(noise(seed)), "path": None} for seed in range(4)]
WHEN = ["old", "new", "old", "new"]
TABLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "token-classification": (
        {"labels": ["a", "b"]},
        {"words": [["w1", "w2"], ["w3"], ["w4"], ["w5"]], "tags": [["a", "b"], ["a"], ["b"], ["b"]]},
    ),
    "image-classification": ({"labels": ["a", "b"]}, {"image": IMAGES, "label": ["a", "b", "a", "b"]}),
    "seq2seq-lm": ({}, {"prompt": ["p1", "p2", "p3", "p4"], "response": ["r1", "r2", "r3", "r4"]}),
    "multiple-choice": (
        {},
        {"question": ["q1", "q2", "q3", "q4"], "choices": [["x", "y"]] * 4, "answer": [0, 1, 0, 1]},
    ),
}


def experiment(kind: str, *, by_period: bool) -> Experiment:
    task, _ = TABLES[kind]
    content: dict[str, Any] = {
        "model": {"source": "m"},
        "task": {"kind": kind, **task},
        "data": {"source": "all", "held_out": 0.0},
        "privacy": {"level": "none"},
    }
    if kind == "seq2seq-lm":
        content["data"] |= {"prompt": "prompt", "response": "response"}
    if by_period:
        later = [{"phase": 1, "values": ["new"], "share": 1.0}]
        content["simulation"] = {"periods": {"column": "when", "first": ["old"], "later": later}}
    return parse_experiment(json.dumps(content), source="experiment.yaml")


def records_of(kind: str, *, by_period: bool) -> list[Record]:
    table = datasets.Dataset.from_dict({**TABLES[kind][1], "when": WHEN})
    if kind == "image-classification":
        table = table.cast_column("image", datasets.Image())
    return to_records(table, experiment(kind, by_period=by_period), source="all", common=True)


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_a_record_of_any_kind_knows_its_part_and_is_to_the_ledger_what_it_was(kind: str) -> None:
    apart, together = (records_of(kind, by_period=by_period) for by_period in (True, False))
    assert [record.part for record in apart] == WHEN
    assert [record.part for record in together] == [""] * 4
    assert [record.tag for record in apart] == [record.tag for record in together]
    assert len({record.tag for record in apart}) == 4


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_what_comes_later_adds_its_tags_to_those_of_before(kind: str) -> None:
    records = records_of(kind, by_period=True)
    periods = [[record for record in records if record.part == part] for part in ("old", "new")]
    terms = experiment(kind, by_period=True)
    before, after = (sort_out(terms, "n0", periods[:count]) for count in (1, 2))
    assert set(before.tags) < set(after.tags) == {record.tag for record in records}
    assert after.periods == (0, 0, 1, 1)


def test_later_periods_stand_though_the_first_ones_files_are_gone() -> None:
    content: dict[str, Any] = {
        "model": {"source": "builtin:logistic", "inputs": 2},
        "task": {"kind": "vector-classification", "labels": ["a", "b"]},
        "adapter": {"kind": "full"},
        "data": {"held_out": 0.1},
        "privacy": {"level": "none"},
    }
    given = Experiment.model_validate(content)
    first, second = ([Record(text=f"{period} {row}") for row in range(count)] for period, count in ((0, 40), (1, 3)))
    whole, left = sort_out(given, "a", [first, second]), sort_out(given, "a", [[], second])
    assert left.came == whole.came == 2
    later = [whole.records[unit[0]].text for unit, at in zip(whole.train, whole.periods, strict=True) if at == 1]
    assert [left.records[unit[0]].text for unit in left.train] == later
    with pytest.raises(DataError, match=r"has 1 unit, data\.held_out 0\.1 needs 2"):
        sort_out(given, "a", [first[:1], second])
