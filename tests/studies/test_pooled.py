"""One learner with everybody's training data: as many steps as each node, measured as nodes are, the upper line."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sim.training import FILES, NOISE, digits, load

from gossipfl.errors import StateError
from gossipfl.learning.data import NodeRecords
from gossipfl.learning.data.records import Record
from gossipfl.runs.progress import Progress
from gossipfl.sim.simulate import simulate
from gossipfl.studies.pooled import pool, train_pooled

pytest.importorskip("sklearn")


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_it_does_as_many_steps_as_a_node_and_is_better_than_nodes_alone(tmp_path: Path) -> None:
    content = digits(training__learning_rate=0.01)
    result = train_pooled(load(tmp_path, content), tmp_path / "pooled")
    alone = simulate(load(tmp_path, {**content, "gossip": {"protocol": "alone"}}), tmp_path / "alone")
    last, last_alone = (lines(tmp_path / name, "metrics.jsonl")[-1] for name in ("pooled", "alone"))
    assert last["step"] == last_alone["step"] == 10 * 5
    assert result.node_steps == 50
    assert result.bytes_per_node == last_alone["bytes_per_node"] == 0
    assert result.final["mean_accuracy"] > alone.final["mean_accuracy"] + 0.1


def test_it_is_measured_on_every_nodes_own_part_and_on_the_common_test_set(tmp_path: Path) -> None:
    train_pooled(load(tmp_path, digits()), tmp_path / "run")
    metrics, nodes = lines(tmp_path / "run", "metrics.jsonl")[-1], lines(tmp_path / "run", "nodes.jsonl")[-1]
    assert len(set(nodes["test_accuracy"])) == 1
    assert metrics["mean_model_accuracy"] == metrics["test_accuracy"] == nodes["test_accuracy"][0] == metrics["worst"]
    # parts of different nodes are of different sizes and classes
    assert len(set(nodes["own_loss"])) == 4
    assert metrics["own_accuracy"] == pytest.approx(sum(nodes["own_accuracy"]) / 4)


def test_it_is_evaluated_at_the_start_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    content = digits(training__phases=5, simulation__evaluate_every=2)
    seen: list[Progress] = []
    train_pooled(load(tmp_path, content), tmp_path / "run", show=seen.append)
    assert [line["round"] for line in lines(tmp_path / "run", "metrics.jsonl")] == [0, 2, 4, 5]
    assert [progress.steps for progress in seen] == [5, 10, 15, 20, 25]


def test_one_seed_gives_one_run_and_a_finished_one_is_not_run_again(tmp_path: Path) -> None:
    loaded = load(tmp_path, digits(training__phases=2))
    first = train_pooled(loaded, tmp_path / "first")
    train_pooled(loaded, tmp_path / "second")
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert train_pooled(loaded, tmp_path / "first", resume=True) == first
    with pytest.raises(StateError, match="holds a run of another configuration"):
        train_pooled(load(tmp_path, digits(training__phases=3)), tmp_path / "first", resume=True)


def test_its_privacy_is_that_of_all_data_in_one_place(tmp_path: Path) -> None:
    content = digits(training__phases=3, privacy=NOISE)
    pooled = train_pooled(load(tmp_path, content), tmp_path / "pooled")
    nodes = simulate(load(tmp_path, content), tmp_path / "nodes")
    assert (pooled.noise, nodes.noise) == ("central", "local")
    assert pooled.epsilon is not None
    assert nodes.epsilon is not None
    # the same batch is a smaller part of more data
    assert 0 < pooled.epsilon < nodes.epsilon


def test_a_budget_that_ends_training_ends_the_run(tmp_path: Path) -> None:
    content = digits(training__phases=3, privacy={"level": "example", "target_epsilon": 0.5, "accountant": "rdp"})
    result = train_pooled(load(tmp_path, content), tmp_path / "run")
    assert result.epsilon == pytest.approx(0.5, rel=0.05)
    assert result.node_steps <= 15


def records(*people: str | None) -> tuple[Record, ...]:
    return tuple(Record(f"{person} says {place}", unit=person) for place, person in enumerate(people))


def test_what_is_held_out_stays_so_and_a_person_known_to_two_nodes_is_one_unit() -> None:
    north = NodeRecords(records("ann", "ann", "bob"), ([0, 1],), ([2],), 0, (b"1", b"2"))
    south = NodeRecords(records("ann", "cyd"), ([0], [1]), (), 0, (b"2", b"3"))
    pooled = pool({"north": north, "south": south})
    assert [[pooled.records[row].text for row in unit] for unit in pooled.train] == [
        ["ann says 0", "ann says 1", "ann says 0"],
        ["cyd says 1"],
    ]
    assert pooled.held_out == ()
    assert pooled.tags == (b"1", b"2", b"3")


def test_without_units_every_record_is_one() -> None:
    node = NodeRecords(records(None, None, None), ([0], [2]), ([1],), 0, ())
    pooled = pool({"n0": node, "n1": node})
    assert pooled.train == ([0], [1], [2], [3])
