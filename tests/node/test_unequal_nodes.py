"""Real nodes with machines of their own, one of them with a single example."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import Study, make_study, wait_until

from gossipfl.cli.app import main
from gossipfl.config.loading import load_peers
from gossipfl.config.machine import MachineConfig
from gossipfl.core.work import WORKS
from gossipfl.errors import ConfigError
from gossipfl.node.checking import check
from gossipfl.node.greeting import experiment_fingerprint
from gossipfl.node.ranks import as_node
from gossipfl.node.rest import Rest
from gossipfl.node.schedules import schedule_of
from gossipfl.studies.fleet import Fleet

MACHINES: dict[str, dict[str, Any]] = {
    "ada": {},
    "bob": {"local_steps": 5, "batch_size": 2, "micro_batch": 1, "train_share": 0.5},
    "cid": {"local_seconds": 1e-6, "local_steps": 7, "dtype": "bfloat16", "precision": "float32", "threads": 1},
}
PHASES = 3
STEPS = {"ada": 2 * PHASES, "bob": 5 * PHASES, "cid": PHASES}


def unequal(folder: Path, model: Path, **sections: Any) -> Study:
    settings: dict[str, Any] = {
        "adapter": {"kind": "lora", "rank": 4},
        "training": {"phases": PHASES, "local_steps": 2, "batch_size": 8},
    }
    study = make_study(folder, model, **{**settings, **sections})
    study.edit("peers.yaml", lambda content: [node.update(machine=MACHINES[node["name"]]) for node in content["nodes"]])
    return study


def alone(study: Study, count: int = 1) -> Study:
    """With so many examples at cid."""
    path = study.folder / "data" / "cid.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))
    return study


def test_machines_are_nobody_elses_business(tmp_path: Path, tiny_model: Path) -> None:
    study = unequal(tmp_path / "study", tiny_model)
    loaded = load_peers(study.peers)
    own = [as_node(loaded, node).experiment.experiment for node in loaded.peers.nodes]
    assert [one.training.local_steps for one in own] == [2, 5, 7]
    assert [one.training.counted_steps for one in own] == [2, 2, 2]
    plain = loaded.experiment.experiment
    greeted = [experiment_fingerprint(one, {}, schedule_of(loaded)) for one in (plain, *own)]
    assert all(one == greeted[0] for one in greeted)
    # how work counts is everybody's
    other = plain.model_copy(update={"gossip": plain.gossip.model_copy(update={"work": "as_done"})})
    assert {*experiment_fingerprint(other, {}, schedule_of(loaded))} - {*greeted[0]} == {"work"}
    assert "normalized" in WORKS


def test_check_plans_by_a_nodes_own(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = unequal(tmp_path / "study", tiny_model)
    assert main(["check", "--peers", str(study.peers), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == {"ada": 6, "bob": 15, "cid": 21}
    assert said["machines"] == {name: machine for name, machine in MACHINES.items() if machine}
    assert said["sample_rate"]["bob"] == pytest.approx(said["sample_rate"]["ada"] / 4, rel=0.3)
    assert said["noise_multiplier"]["bob"] < said["noise_multiplier"]["ada"]
    assert main(["check", "--peers", str(study.peers)]) == 0
    assert "machine of bob: batch_size 2, micro_batch 1, local_steps 5, train_share 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"batchsize": 3}, r"machine\.batchsize: unknown key, did you mean 'batch_size'"),
        ({"local_seconds": -1}, r"machine\.local_seconds: -1, should be greater than 0"),
    ],
)
def test_mistakes_are_named(begin: Begin, machine: dict[str, Any], said: str) -> None:
    study = begin()
    study.edit("peers.yaml", lambda content: content["nodes"][1].update(machine=machine))
    with pytest.raises(ConfigError, match=said):
        load_peers(study.peers)


def test_what_makes_no_sense_together_is_said_with_the_machine(begin: Begin) -> None:
    study = begin(adapter={"kind": "lora", "merge": "exact"}, privacy={"level": "none", "target_epsilon": None})
    study.edit("peers.yaml", lambda content: content["nodes"][1].update(machine={"dtype": "bfloat16"}))
    problems = check(study.peers, name=None).problems
    assert any(problem.startswith("nodes.bob.machine: with it adapter.merge exact") for problem in problems), problems


def test_nodes_of_all_kinds_train_together(tmp_path: Path, tiny_model: Path) -> None:
    study = unequal(tmp_path / "study", tiny_model)
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        results = dict(fleet.results(timeout_s=120))
    assert {name: result["step"] for name, result in results.items()} == STEPS
    plans = check(study.peers, name=None).notes
    assert not [note for note in plans if "refused" in note]
    for name in study.names:
        saved = study.saved(name)
        assert saved.snapshot.receipt.steps == STEPS[name]
        assert study.rows(name)[-1]["rejected"] == {}
    assert "resting for" in (study.folder / "bob.log").read_text()


def test_one_that_waits_for_its_hours_mixes_and_is_stopped_at_once(tmp_path: Path, tiny_model: Path) -> None:
    study = unequal(tmp_path / "study", tiny_model)

    def never(content: dict[str, Any]) -> None:
        # a minute that is over, or far off
        content["nodes"][2]["machine"] = {"train_hours": ["00:00-00:01"], "train_share": 1e-9}

    study.edit("peers.yaml", never)
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        wait_until(lambda: study.phase("ada") >= PHASES, fleet, what="the others have trained")
        wait_until(lambda: (study.folder / "cid.log").read_text().count("resting for"), fleet, what="cid rests")
        fleet.processes["cid"].send_signal(signal.SIGTERM)
        fleet.processes["cid"].wait(timeout=60)
    assert study.phase("cid") <= 1


def test_resting_waits_only_where_it_must() -> None:
    async def rest(machine: MachineConfig, took_s: float) -> bool:
        resting = Rest(machine, lambda: 12 * 3600.0)
        resting.trained(took_s)
        async with asyncio.timeout(0.5):
            return await resting.over()

    assert not asyncio.run(rest(MachineConfig(), 3.0))
    assert not asyncio.run(rest(MachineConfig(train_hours=("11:00-13:00",)), 3.0))
    assert asyncio.run(rest(MachineConfig(train_share=0.5), 0.01))
    with pytest.raises(TimeoutError):
        asyncio.run(rest(MachineConfig(train_hours=("14:00-15:00",)), 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "example", "update"])
def test_a_node_with_one_example_takes_part(tmp_path: Path, tiny_model: Path, level: str) -> None:
    privacy = {
        "none": {"level": "none", "target_epsilon": None},
        "example": {"level": "example", "target_epsilon": 8.0},
        "update": {"level": "update", "target_epsilon": 8.0},
    }[level]
    study = alone(unequal(tmp_path / "study", tiny_model, data={"held_out": 0.0}, privacy=privacy))
    found = check(study.peers, name=None)
    assert not found.problems
    if level == "example":
        assert found.plans["cid"].sample_rate == 1
        assert "cid: every batch holds all of its data, 1 in number: nothing is amplified by sampling" in found.notes
    with Fleet([study.job(name) for name in study.names], launch=forked) as fleet:
        results = dict(fleet.results(timeout_s=120))
    assert results["cid"]["step"] == STEPS["cid"]


def test_one_example_cannot_be_held_out(tmp_path: Path, tiny_model: Path) -> None:
    study = alone(unequal(tmp_path / "study", tiny_model))
    (problem,) = check(study.peers, name=None).problems
    assert "data of node 'cid' has 1 unit, data.held_out 0.2 needs 2" in problem
    assert "with data.held_out 0 it trains on what it has" in problem
