"""Records on disk: the same as in memory, dealt and held out alike, and refused with the same words."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.learning.data.mapped_data import (
    ROWS,
    experiment_of,
    site,
    small_pieces,
)

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data import (
    DataSite,
    load_fleet_records,
    load_node_records,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return small_pieces(tmp_path, monkeypatch)


def test_records_on_disk_are_those_in_memory_whatever_is_asked_of_them(folder: Path) -> None:
    wanted, found = (load_node_records(experiment_of(tokens=tokens), site(folder)) for tokens in ("memory", "mapped"))
    assert list(found.records) == list(wanted.records)
    assert [found.records[row] for row in (7, -1, 0, 20, 5)] == [wanted.records[row] for row in (7, -1, 0, 20, 5)]
    assert list(found.records[3:20:4]) == list(wanted.records[3:20:4])
    with pytest.raises(IndexError):
        found.records[ROWS]
    assert (found.train, found.held_out, found.unit_tags) == (wanted.train, wanted.held_out, wanted.unit_tags)


@pytest.mark.parametrize("split", [{"kind": "iid"}, {"kind": "dirichlet"}, {"kind": "column", "column": "person"}])
def test_one_dataset_is_dealt_and_held_out_of_alike(folder: Path, split: dict[str, Any]) -> None:
    given = {"source": "own.jsonl", "test": None, "test_share": 0.2, "split": split}
    both = []
    for tokens in ("memory", "mapped"):
        experiment = experiment_of("sequence-classification", tokens, data=given)
        sites = [DataSite(name, ("a", "b"), None, folder, folder) for name in ("a", "b")]
        fleet = load_fleet_records(experiment, sites)
        nodes = [(list(node.records), node.train, node.tags) for _, node in sorted(fleet.nodes.items())]
        both.append((nodes, list(fleet.test or ())))
    assert both[0] == both[1]


def test_blank_lines_of_a_text_file_are_no_records(folder: Path) -> None:
    (folder / "own.txt").write_text("".join(f"w{row}\n\n" if row % 3 else f"w{row}\n" for row in range(20)))
    experiment = experiment_of(data={"unit": None, "test": None})
    found = load_node_records(experiment, DataSite("a", ("a",), "own.txt", folder, folder))
    assert [record.text for record in found.records] == [f"w{row}" for row in range(20)]


@pytest.mark.parametrize("task", ["causal-lm", "sequence-classification", "multiple-choice", "token-classification"])
def test_what_is_wrong_with_a_record_is_said_with_its_number_in_the_file(folder: Path, task: str) -> None:
    lines = [json.loads(line) for line in (folder / "own.jsonl").read_text().splitlines()]
    lines[20] |= {"text": " ", "label": "c", "answer": 7, "tags": []}
    (folder / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = []
    for tokens in ("memory", "mapped"):
        with pytest.raises(DataError, match="record 21") as error:
            load_node_records(experiment_of(task, tokens), site(folder))
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "wish",
    [
        {"task": {"kind": "vector-classification", "labels": ["a", "b"]}},
        {"task": {"kind": "image-classification", "labels": ["a", "b"]}},
        {"data": {"watch": True}},
        {
            "data": {"source": "x.csv"},
            "simulation": {
                "periods": {"column": "c", "first": ["a"], "later": [{"phase": 1, "values": ["b"], "share": 0.5}]}
            },
        },
    ],
)
def test_what_has_no_tokens_or_grows_is_refused(wish: dict[str, Any]) -> None:
    given = {"model": {"source": "tiny"}, "task": {"kind": "causal-lm"}, "privacy": {"level": "none"}, **wish}
    with pytest.raises(ValidationError, match="tokens mapped"):
        Experiment.model_validate({**given, "data": {"tokens": "mapped", **given.get("data", {})}})
