"""The account of a node's records, as its run opens it: whose they are reaches the ledger."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config.experiment import Experiment
from gossipfl.errors import PrivacyError
from gossipfl.learning.books import Books, RunTerms, open_books
from gossipfl.learning.data import DataSite
from gossipfl.learning.data.loading import load_node_records
from gossipfl.learning.data.sorting import NodeRecords
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import LedgerAccount
from gossipfl.privacy.spent import charged_before

PERSONS = ("ann", "ann", "bob", "eve")


def experiment(unit: str | None) -> Experiment:
    return Experiment.model_validate(
        {
            "model": {"source": "builtin:logistic", "inputs": 2},
            "task": {"kind": "vector-classification", "labels": ["a", "b"]},
            "adapter": {"kind": "full"},
            "data": {"features": "x", "unit": unit, "held_out": 0.0, "max_per_unit": 2 if unit else 1},
            "training": {"phases": 2, "local_steps": 1, "batch_size": 2},
            "privacy": {"level": "example", "noise_multiplier": 1.0, "accountant": "rdp"},
        }
    )


def site_of(folder: Path, rows: Sequence[int], *, equal: bool = False) -> DataSite:
    """The records of these persons; the numbers of a record are its own, or the same in all."""
    lines = [{"x": [0 if equal else row, 1], "label": "ab"[row % 2], "who": PERSONS[row]} for row in rows]
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return DataSite("n", ("n",), "data.jsonl", folder, folder)


def opened(unit: str | None, site: DataSite, run: str = "r") -> tuple[Books, NodeRecords]:
    records = load_node_records(experiment(unit), site)
    return open_books(experiment(unit), site, RunTerms(run, ledger="l.sqlite", streams="seeded"), records), records


def charge(unit: str | None, site: DataSite, run: str) -> None:
    books, _ = opened(unit, site, run)
    assert books.plan is not None
    assert isinstance(books.account, LedgerAccount)
    books.account.charge(books.plan.charge())
    books.close()


def test_records_that_a_unit_column_makes_one_persons_become_one_account(tmp_path: Path) -> None:
    for row in (0, 1):
        charge(None, site_of(tmp_path, [row]), f"row {row}")
    whole = site_of(tmp_path, [0, 1, 2])
    records = load_node_records(experiment("who"), whole)
    foreseen = charged_before(
        tmp_path / "l.sqlite", records.tags, units=records.unit_tags, run="persons", level="example"
    )
    # one row and then another: two steps of hers, and none of bob's
    assert foreseen == ((Charge(1.0, 1.0, 2),),)
    charge("who", whole, "persons")
    steps = {unit[0]: charged_before(tmp_path / "l.sqlite", unit) for unit in records.unit_tags}
    ann, bob = (records.records[row].unit_tag for row in (0, 2))
    assert steps == {ann: ((Charge(1.0, 1.0, 3),),), bob: ((Charge(1.0, 1.0, 1),),)}


@pytest.mark.parametrize("equal", [False, True])
def test_two_rows_of_a_person_in_one_step_are_not_hers(tmp_path: Path, equal: bool) -> None:  # noqa: FBT001
    charge(None, site_of(tmp_path, [0, 1, 2], equal=equal), "rows")
    with pytest.raises(PrivacyError, match=r"data\.unit makes 2 of them one"):
        opened("who", site_of(tmp_path, [0, 1, 2], equal=equal), "persons")


def test_what_was_charged_by_person_is_not_gone_on_with_by_row(tmp_path: Path) -> None:
    site = site_of(tmp_path, [0, 1, 2])
    charge("who", site, "persons")
    with pytest.raises(PrivacyError, match=r"without data\.unit"):
        opened(None, site, "rows")


def test_the_tags_of_a_person_begin_with_her_own(tmp_path: Path) -> None:
    records = load_node_records(experiment("who"), site_of(tmp_path, range(4), equal=True))
    assert {unit[0] for unit in records.unit_tags} == {record.unit_tag for record in records.records}
    assert sorted(len(unit) for unit in records.unit_tags) == [2, 2, 3], "equal rows are several"
    assert np.all([tag in records.tags for unit in records.unit_tags for tag in unit])
