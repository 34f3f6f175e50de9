"""Simulated nodes with machines of their own: batch, steps, seconds, and when they train."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.averaging import lines
from tests.sim.training import FILES, NOISE, build, changed, digits, load, play, resume, with_engine

from gossipfl.core.events import Trained
from gossipfl.errors import ConfigError
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.sim.training import training_setting

SHORT: dict[str, Any] = {"training__phases": 3, "simulation__evaluate_every": 100, "gossip__settle_rounds": 0}
MACHINES = {
    "n0": {"local_steps": 1, "batch_size": 4},
    "n1": {"local_seconds": 4.5, "local_steps": 20},
    "n2": {"local_seconds": 0.1},
}
TRAINED = {"n0": 3, "n1": 3 * 4, "n2": 3 * 1, "n3": 3 * 5}
"""Optimizer steps of three phases, a step taking a virtual second."""


def test_each_does_its_steps_or_what_fits_into_its_seconds(tmp_path: Path) -> None:
    played = play(tmp_path, digits(simulation__machines=MACHINES, **SHORT))
    assert played.steps == TRAINED
    assert np.isfinite(played.vectors).all()


def test_the_engines_agree_to_rounding(tmp_path: Path) -> None:
    content = digits(simulation__machines=MACHINES, training__schedule="cosine", **SHORT)
    loop, batched = (play(tmp_path / name, with_engine(content, name)) for name in ("loop", "batched"))
    assert loop.steps == batched.steps == TRAINED
    assert np.abs(loop.vectors - batched.vectors).max() < 1e-5


def test_privacy_is_planned_and_charged_by_a_nodes_own(tmp_path: Path) -> None:
    content = digits(simulation__machines=MACHINES, privacy=NOISE, **SHORT)
    played = play(tmp_path, content)
    fleet = played.training.crew
    assert isinstance(fleet, Fleet)
    plans = {name: bench.plan for name, bench in fleet.benches.items()}
    units = {name: bench.data.train.units for name, bench in fleet.benches.items()}
    # seconds are planned for as many steps as there may be
    assert {name: plan.steps for name, plan in plans.items() if plan} == {"n0": 3, "n1": 60, "n2": 15, "n3": 15}
    rates = {name: plan.sample_rate for name, plan in plans.items() if plan}
    assert rates == {name: (4 if name == "n0" else 16) / units[name] for name in units}
    assert {name: account.steps for name, account in fleet.simulated.items()} == TRAINED
    spent = {name: account.epsilon() for name, account in fleet.simulated.items()}
    assert all(spent[name] < plan.epsilon for name, plan in plans.items() if plan and name in ("n1", "n2"))


def test_what_is_nobodys_own_stays_bit_for_bit(tmp_path: Path) -> None:
    plain = play(tmp_path / "plain", digits(**SHORT))
    same = {"n1": {"local_steps": 5, "batch_size": 16}}
    own = play(tmp_path / "own", digits(simulation__machines=same, **SHORT))
    done = play(tmp_path / "done", digits(gossip__work="as_done", **SHORT))
    assert np.array_equal(plain.vectors, own.vectors)
    assert np.array_equal(plain.vectors, done.vectors)


def test_unequal_work_counts_alike_unless_it_is_not_to(tmp_path: Path) -> None:
    content = digits(simulation__machines={"n0": {"local_steps": 1}}, **SHORT)
    normalized, as_done = (
        play(tmp_path / work, changed(content, {"gossip__work": work})) for work in ("normalized", "as_done")
    )
    assert np.abs(normalized.vectors - as_done.vectors).max() > 1e-3


STOPPED = {
    "gossip": {"protocol": "wait_free", "settle_rounds": 4, "deadline_s": 5.0, "linger_s": 20.0},
    "training__phases": 6,
    "simulation__machines": {**MACHINES, "n3": {"train_share": 0.2, "train_hours": ["00:00-00:01"]}},
    "simulation__compute": {"kind": "log_normal", "step_s": 0.7, "spread": 0.6},
}


@pytest.mark.slow
@pytest.mark.parametrize("level", ["none", "example"])
def test_stopped_runs_end_as_if_uninterrupted(tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    content = digits(privacy=NOISE if level == "example" else {"level": "none"}, **STOPPED)
    whole = resume(tmp_path / "whole", content)
    for rounds in (2.0, 4.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    resumed = resume(tmp_path / "parts", content)
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
    assert (resumed.node_steps, resumed.epsilon) == (whole.node_steps, whole.epsilon)
    assert lines(tmp_path / "whole", "metrics.jsonl")


@pytest.mark.parametrize("protocol", ["wait_free", "pairwise"])
def test_one_that_rests_begins_from_its_state_as_it_is_then(tmp_path: Path, protocol: str) -> None:
    gossip = {"protocol": protocol, "settle_rounds": 2, "deadline_s": 30.0, "linger_s": 60.0}
    played = build(tmp_path, digits(gossip=gossip, **{**SHORT, "simulation__machines": {"n0": {"train_share": 0.1}}}))
    ends: list[float] = []
    starts: list[Any] = []
    states: list[Any] = []

    def note(name: str, event: object) -> None:
        if name != "n0":
            return
        if len(states) < len(ends):
            # the first that happens to it after a phase
            states.append(played.world.bodies["n0"].snapshot.state)
        if isinstance(event, Trained):
            ends.append(played.world.now)
            starts.append(event.start)

    played.world.on_event = note
    played.world.run()
    # 5 s of training, 45 s of rest
    assert ends == [5.0, 55.0, 105.0]
    assert [start is not None for start in starts] == [False, True, True]
    # wait_free keeps what it hears for the mixing around the phase, pairwise meets whoever asks at once
    assert (starts[1] == states[0]) == (protocol == "wait_free")
    assert played.steps["n0"] == 15


def test_one_that_trains_in_its_hours_only(tmp_path: Path) -> None:
    hours = {"n0": {"train_hours": ["06:00-07:00"]}}
    gossip = {"protocol": "wait_free", "settle_rounds": 0, "deadline_s": 1e5, "linger_s": 1e5}
    played = build(tmp_path, digits(**{**SHORT, "simulation__machines": hours, "gossip": gossip}))
    played.world.run(until_s=6 * 3600 - 1)
    assert played.steps["n0"] == 0
    assert played.steps["n1"] == 15
    played.world.run()
    assert played.steps["n0"] == 15


def test_types_of_numbers_by_node_take_models_of_their_own(tmp_path: Path) -> None:
    content = digits(simulation__machines={"n2": {"precision": "bfloat16"}}, **SHORT)
    loaded = load(tmp_path, content)
    fleet = build_fleet(loaded.experiment, training_setting(loaded).roster, ["n1", "n2"])
    assert fleet.benches["n1"].adapted.module is not fleet.benches["n2"].adapted.module
    assert fleet.judge_mean(fleet.initial) is not None


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ({"n9": {"batch_size": 3}}, "simulation.machines: 'n9' is no node; they are n0 to n3"),
        ({"n1": {"threads": 3}}, "simulation.machines: n1.threads is for a node of peers.yaml"),
        ({"n1": {"batchsize": 3}}, "unknown key, did you mean 'batch_size'"),
        ({"n1": {"train_share": 0}}, "simulation.machines.n1.train_share"),
        ({"n1": {"train_hours": ["22-6"]}}, "simulation.machines.n1.train_hours"),
        ({"n1": {"train_hours": ["24:00-06:00"]}}, "'24:00-06:00' is no time of day from 00:00 to 23:59 and another"),
        ({"n1": {"train_hours": ["22:00-22:00"]}}, "22:00-22:00 lasts no time at all"),
        ({"n1": {"dtype": "bfloat16"}}, "simulation.machines.n1: with it model.source: builtin:mlp is drawn here"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, machines: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(tmp_path, digits(simulation__machines=machines, **SHORT))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_noise_that_neighbors_share_has_to_be_of_equal_size(tmp_path: Path) -> None:
    correlated = {"level": "correlated", "noise_multiplier": 1.0, "pair_noise_multiplier": 2.0}
    content = digits(privacy=correlated, simulation__machines={"n1": {"local_steps": 2}}, **SHORT)
    with pytest.raises(ConfigError, match="correlated needs as_done where nodes do unequal numbers of steps"):
        build(tmp_path, content)
    play(tmp_path, changed(json.loads(json.dumps(content)), {"gossip__work": "as_done"}))
