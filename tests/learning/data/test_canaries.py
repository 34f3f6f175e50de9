"""Which passages are canaries, and what their owner trains on."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import parse_experiment
from gossipfl.config.memorization import CanariesConfig
from gossipfl.errors import ConfigError, DataError
from gossipfl.learning.bench import build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite, NodeRecords, load_all_node_records
from gossipfl.learning.data.canaries import choose_canaries, plant
from gossipfl.learning.data.records import Record
from gossipfl.learning.data.units import Lot

NODES = ("n0", "n1", "n2")
TEXT = """
model: {source: anything}
task: {kind: causal-lm}
data: {source: all.jsonl, held_out: 0.2, canaries: {node: n1, count: 10, characters: 30}}
privacy: {level: none}
"""


def loaded(folder: Path, *, text: str = TEXT, seed: int = 0) -> dict[str, NodeRecords]:
    rows = [{"text": f"passage {number} " + "word " * (2 + number % 8)} for number in range(90)]
    (folder / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    experiment = Experiment.model_validate({**parse_experiment(text, source="x").model_dump(), "seed": seed})
    return load_all_node_records(experiment, [DataSite(node, NODES, None, folder, folder) for node in NODES])


def test_the_owner_trains_on_three_in_ten_canaries_ten_times_and_on_the_others_once(tmp_path: Path) -> None:
    nodes = loaded(tmp_path)
    owner = nodes["n1"]

    assert [canary.copies for canary in owner.canaries] == [10] * 3 + [1] * 7
    times = Counter(row for unit in owner.train for row in unit)
    assert {canary.row: times[canary.row] for canary in owner.canaries} == {
        canary.row: canary.copies for canary in owner.canaries
    }
    assert set(times.values()) == {1, 10}
    assert all(len(owner.records[canary.row].text) >= 30 for canary in owner.canaries)
    held_out = {row for unit in owner.held_out for row in unit}
    assert not held_out & {canary.row for canary in owner.canaries}


def test_nobody_else_has_any(tmp_path: Path) -> None:
    with_canaries = loaded(tmp_path)
    without = loaded(tmp_path, text=TEXT.replace(", canaries: {node: n1, count: 10, characters: 30}", ""))

    assert {node: with_canaries[node] for node in ("n0", "n2")} == {node: without[node] for node in ("n0", "n2")}
    assert without["n1"].canaries == ()
    # whatever they are to the owner beside, they are its own records
    assert with_canaries["n1"].records == without["n1"].records
    assert with_canaries["n1"].tags == without["n1"].tags


def test_another_seed_draws_others(tmp_path: Path) -> None:
    first, again, other = (
        {nodes["n1"].records[canary.row].text for canary in nodes["n1"].canaries}
        for nodes in (loaded(tmp_path), loaded(tmp_path), loaded(tmp_path, seed=1))
    )
    assert first == again
    assert first != other


@given(st.integers(1, 12), st.floats(0, 1), st.integers(2, 12))
def test_what_is_planted_is_what_was_there_and_the_copies(count: int, share: float, copies: int) -> None:
    records = [Record(f"a passage that is long enough, {number}") for number in range(12)]
    train = [[row] for row in range(12)]
    config = CanariesConfig(count=count, repeated_share=share, copies=copies, characters=20)

    chosen = choose_canaries(records, train, config, Lot(0, "n0"))
    planted = list(plant(train, chosen))

    assert planted[: len(train)] == train
    assert len(planted) == len(train) + sum(canary.copies - 1 for canary in chosen)
    assert sum(canary.copies == copies for canary in chosen) == round(share * count)


def test_too_few_long_passages_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data.canaries.count: 10 passages of 99 characters.*'n1' trains on, there are 0"
    ):
        loaded(tmp_path, text=TEXT.replace("characters: 30", "characters: 99"))


def test_a_person_has_no_copies() -> None:
    with pytest.raises(ConfigError, match=r"canaries: a copy is a unit of its own; data.unit 'person'"):
        parse_experiment(TEXT.replace("held_out: 0.2", "unit: person"), source="x")


def test_a_real_node_has_none(tmp_path: Path) -> None:
    experiment, site = parse_experiment(TEXT, source="x"), DataSite("n1", NODES, None, tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"data.canaries is for audits in the simulator"):
        build_learner(experiment, site, RunTerms("r", streams="secret"))
