"""One dataset for all nodes: a common test part, then a part for each, from one reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from tests.learning.vectors import sites, vector_experiment

from gossipfl.errors import DataError
from gossipfl.learning.data import (
    load_all_node_records,
    load_fleet_records,
    load_node_data,
    load_node_records,
    load_test_records,
)
from gossipfl.learning.data.digits import read_sklearn
from gossipfl.learning.data.records import Record

NAMES = tuple(f"n{number:02}" for number in range(20))
SPLITS: list[dict[str, Any]] = [
    {"kind": "iid"},
    {"kind": "dirichlet", "dirichlet_alpha": 1.0, "min_records": 4},
    {"kind": "shards"},
]


def tags(records: Sequence[Record] | None) -> list[bytes]:
    return sorted(record.tag for record in records or ())


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split["kind"])
def test_read_together_or_alone_a_node_gets_the_same_records(split: dict[str, Any], tmp_path: Path) -> None:
    experiment = vector_experiment(data={"test_share": 0.2, "split": split})
    together = sites(tmp_path, *NAMES)
    fleet = load_fleet_records(experiment, together)

    for site in together[::7]:
        alone = load_fleet_records(experiment, [site])
        assert alone.nodes[site.node] == fleet.nodes[site.node]
        assert alone.test == fleet.test == load_test_records(experiment, tmp_path)


def test_test_set_and_parts_are_disjoint_and_everything(tmp_path: Path) -> None:
    experiment = vector_experiment(data={"test_share": 0.25})
    fleet = load_fleet_records(experiment, sites(tmp_path, *NAMES))
    parts = [tags(node.records) for node in fleet.nodes.values()]
    whole = load_all_node_records(vector_experiment(), sites(tmp_path, "one", "two"))

    assert sorted([*tags(fleet.test), *(tag for part in parts for tag in part)]) == sorted(
        tag for node in whole.values() for tag in tags(node.records)
    )
    assert not set(tags(fleet.test)) & {tag for part in parts for tag in part}
    assert 0.2 < len(tags(fleet.test)) / 1797 < 0.3


def test_another_seed_holds_out_another_test_set(tmp_path: Path) -> None:
    experiment = vector_experiment(data={"test_share": 0.2})
    other = experiment.model_copy(update={"seed": 1})

    assert tags(load_test_records(experiment, tmp_path)) != tags(load_test_records(other, tmp_path))


def test_a_common_source_is_read_once_for_all_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(source: str) -> datasets.Dataset:
        reads.append(source)
        return read_sklearn(source)

    monkeypatch.setattr("gossipfl.learning.data.sources.read_sklearn", counted)
    load_fleet_records(vector_experiment(data={"test_share": 0.2}), sites(tmp_path, *NAMES))

    assert reads == ["sklearn:digits"]


def test_a_persons_records_are_in_the_test_set_or_with_a_node_never_both(tmp_path: Path) -> None:
    rows = "".join(f'{{"features": [{row}], "label": "{"ab"[row % 2]}", "who": "p{row // 4}"}}\n' for row in range(120))
    (tmp_path / "all.jsonl").write_text(rows)
    experiment = vector_experiment(
        labels=("a", "b"),
        model={"source": "builtin:logistic", "inputs": 1},
        data={"source": "all.jsonl", "unit": "who", "max_per_unit": 4, "test_share": 0.3},
    )
    fleet = load_fleet_records(experiment, sites(tmp_path, "a", "b", "c"))
    nodes = {record.unit for node in fleet.nodes.values() for record in node.records}
    tests = {record.unit for record in fleet.test or ()}

    assert not nodes & tests
    assert nodes | tests == {f"p{person}" for person in range(30)}


def test_the_test_set_may_be_a_source_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('[{"features": ' + str([0.5] * 64) + ', "label": "7"}]')
    experiment = vector_experiment(data={"test": "own.json"})
    data = load_node_data(experiment, sites(tmp_path, "a")[0], None)

    assert data.test is not None
    assert [batch.tensors["labels"].tolist() for batch in data.test.rows_in_order(4)] == [[7]]


def test_a_test_share_needs_two_units(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('[{"features": [1.0], "label": "a"}]')
    experiment = vector_experiment(
        labels=("a", "b"),
        model={"source": "builtin:logistic", "inputs": 1},
        data={"source": "one.json", "test_share": 0.5},
    )
    with pytest.raises(DataError, match=r"data\.test_share: data 'one\.json' has 1 unit, 2 are needed"):
        load_test_records(experiment, tmp_path)


def test_inputs_that_the_data_does_not_have_are_one_line(tmp_path: Path) -> None:
    experiment = vector_experiment(model={"source": "builtin:logistic", "inputs": 784})
    with pytest.raises(DataError, match=r"record 1 has 64 numbers in column 'features', model\.inputs is 784"):
        load_node_records(experiment, sites(tmp_path, "a")[0])
