import csv
from pathlib import Path
from typing import Any

import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.errors import DataError
from gossipfl.learning.data.loading import DataSite, load_node_records

NAMES = ("a", "b", "c")


def experiment_of(**data: Any) -> Experiment:
    return Experiment.model_validate(
        {"model": {"source": "tiny"}, "task": {"kind": "causal-lm"}, "data": data, "privacy": {"level": "none"}}
    )


def write(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "person"])
        writer.writerows([f"text {row}", f"p{row // 4}"] for row in range(rows))


def site(node: str, folder: Path, *, source: str | None = None) -> DataSite:
    return DataSite(node, NAMES, source, folder, folder / "peers")


def test_one_dataset_is_shared_out_completely(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", 60)

    parts = [load_node_records(experiment_of(source="all.csv"), site(name, tmp_path)) for name in NAMES]

    texts = [record.text for part in parts for record in part.records]
    assert sorted(texts) == sorted(f"text {row}" for row in range(60))


def test_a_nodes_own_records_win_over_the_common_ones(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    write(tmp_path / "all.csv", 60)
    write(tmp_path / "peers" / "own.csv", 8)

    found = load_node_records(experiment_of(source="all.csv"), site("a", tmp_path, source="own.csv"))

    assert len(found.records) == 8


def test_records_beyond_a_persons_share_are_counted_and_still_tagged(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", 60)
    experiment = experiment_of(source="all.csv", unit="person", max_per_unit=3, held_out=0)

    found = load_node_records(experiment, site("a", tmp_path))

    assert {len(unit) for unit in found.train} == {3}
    assert found.left_out == len(found.train)
    assert len(found.tags) == len(found.records) + len(found.train)
    assert list(found.tags) == sorted(set(found.tags))


def test_persons_are_known_again_by_the_account_when_they_come_with_other_records(tmp_path: Path) -> None:
    write(tmp_path / "january.csv", 60)
    rows = (
        (tmp_path / "january.csv")
        .read_text()
        .replace("text", "words of february")
        .replace("words of february", "text", 1)
    )
    (tmp_path / "february.csv").write_text(rows)
    by_month = [
        set(
            load_node_records(experiment_of(source=f"{month}.csv", unit="person", held_out=0), site("a", tmp_path)).tags
        )
        for month in ("january", "february")
    ]
    assert by_month[0] & by_month[1]
    without = [
        set(load_node_records(experiment_of(source=f"{month}.csv", held_out=0), site("a", tmp_path)).tags)
        for month in ("january", "february")
    ]
    assert not without[0] & without[1]


@pytest.mark.parametrize(
    ("rows", "data", "message"),
    [
        (60, {}, "node 'a' has no data"),
        (2, {"source": "all.csv"}, "2 units cannot be split over 3 nodes"),
        (3, {"source": "all.csv"}, "node 'a' has 1 unit, data.held_out 0.1 needs 2"),
        (60, {"source": "gone.csv"}, "does not exist"),
    ],
)
def test_too_little_data_is_refused(rows: int, data: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path / "all.csv", rows)

    with pytest.raises(DataError, match=message):
        load_node_records(experiment_of(**data), site("a", tmp_path))
