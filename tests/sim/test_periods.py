"""Data that comes to simulated nodes while they train, by the code of a real node."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sim.training import FILES, NOISE, Content, digits, load, resume, with_engine

from gossipfl.baseline.trial import Staff
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ConfigError, UserError
from gossipfl.runs.fleet import build_fleet
from gossipfl.runs.roster import Roster
from gossipfl.studies.audit_run import set_stage
from gossipfl.studies.pooled import train_pooled

CORRELATED = {"level": "correlated", "target_epsilon": 8.0, "target_delta": 1e-5, "pair_noise_multiplier": 1.0}
LATER = [{"phase": 4, "nodes": ["n1"], "values": ["5", "6", "7", "8", "9"]}]
PERIODS = {"first": ["0", "1", "2", "3", "4"], "later": LATER}


def shifting(**changes: Any) -> Content:
    return digits(
        data={"source": "sklearn:digits", "held_out": 0.2},
        simulation__periods=PERIODS,
        simulation__evaluate_every=1,
        training__phases=8,
        **changes,
    )


def recorded(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run" / name).read_text().splitlines()]


def test_what_comes_later_comes_to_whom_it_should_and_is_judged_apart(tmp_path: Path) -> None:
    resume(tmp_path, shifting(training__continual="newest"))
    nodes = recorded(tmp_path, "nodes.jsonl")
    for line in nodes:
        n1 = line["period_accuracy"][1]
        assert (n1[1] is not None) == (line["step"][1] > 4 * 5)
        assert all(line["period_accuracy"][other][1] is None for other in (0, 2, 3))
        assert all(own[0] is not None for own in line["period_accuracy"])

    best = 0.0
    for line in nodes:
        now, come = line["period_accuracy"][1][0], any(own[1] is not None for own in line["period_accuracy"])
        if come and line["step"][1]:
            assert line["forgetting"][1] == pytest.approx(best - now)
        best = max(best, now)
    assert recorded(tmp_path, "metrics.jsonl")[-1]["forgetting"] == pytest.approx(sum(nodes[-1]["forgetting"]) / 4)


@pytest.mark.parametrize(
    ("engine", "level", "availability"),
    [("loop", {"level": "none"}, "always"), pytest.param("batched", NOISE, "churn", marks=pytest.mark.slow)],
)
def test_stopped_in_between_it_ends_as_if_uninterrupted(
    tmp_path: Path, engine: str, level: dict[str, Any], availability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    away = {"kind": "always"} if availability == "always" else {"kind": "churn", "up_s": 20.0, "down_s": 3.0}
    content = with_engine(shifting(privacy=level, training__continual="replay", simulation__availability=away), engine)
    resume(tmp_path / "whole", content)
    for rounds in (2.0, 6.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    assert resume(tmp_path / "parts", content).done
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


@pytest.mark.slow
def test_one_pass_pulls_to_the_consensus_as_one_at_a_time_does(tmp_path: Path) -> None:
    steep = {"training__optimizer": "sgd", "training__learning_rate": 0.1, "training__weight_decay": 0.0}
    pulled = shifting(training__continual="proximal", training__proximal_mu=5.0, **steep)
    free = shifting(training__continual="newest", **steep)
    ends = []
    for name, content in (("loop", pulled), ("batched", pulled), ("free", free)):
        resume(tmp_path / name, with_engine(content, "loop" if name == "free" else name))
        ends.append(recorded(tmp_path / name, "nodes.jsonl")[-1])
    one_at_a_time, in_one_pass, unpulled = (end["own_loss"][1] for end in ends)
    assert one_at_a_time == pytest.approx(in_one_pass, rel=1e-3)
    assert abs(unpulled - in_one_pass) > 2e-2 * in_one_pass


@pytest.mark.parametrize("continual", ["all", "newest", "replay"])
def test_each_period_pays_at_its_own_rate(tmp_path: Path, continual: str) -> None:
    experiment = Experiment.model_validate(shifting(privacy=NOISE, training__continual=continual))
    fleet = build_fleet(experiment, Roster(experiment.simulation.names, tmp_path), ["n1"])
    bench = fleet.benches["n1"]
    state = bench.learner.train(bench.adapted.initial, first_step=0, steps=3).state
    (before,) = bench.account.charges()
    units = bench.data.train.units
    fleet.arrive("n1", 4)
    bench.learner.train(state, first_step=3, steps=3)
    new = bench.data.train.units - units
    wished = {"all": {16 / (units + new)}, "newest": {16 / new}, "replay": {8 / units, 8 / new}}[continual]
    rates = {charge.sample_rate for charge in bench.account.charges()} - {before.sample_rate}
    assert sorted(rates) == pytest.approx(sorted(wished))
    drawn = [bench.mechanism.draw(step).units for step in range(100, 160)]
    old = sum(int((some < units).sum()) for some in drawn)
    assert (old == 0) == (continual == "newest")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"held_out": 0.1}}, "data.source"),
        ({"simulation__periods": {**PERIODS, "later": [{**LATER[0], "values": ["4"]}]}}, "'4' comes twice"),
        ({"simulation__periods": {**PERIODS, "later": [{**LATER[0], "share": 0.5}]}}, "share, nodes"),
        ({"simulation__periods": {**PERIODS, "later": [{**LATER[0], "nodes": ["n9"]}]}}, "'n9' is no node"),
        ({"simulation__periods": {**PERIODS, "first": ["x"]}}, "no record of these values"),
        ({"simulation__periods": {**PERIODS, "column": "hour"}}, "no column 'hour'"),
        ({"training__continual": "reply"}, "replay"),
        ({"training__replay_share": 0.2}, "replay_share"),
        ({"simulation__engine": "ray"}, "not ray"),
        ({"personal": {"phases": 1}}, "personal.phases"),
        ({"training__local_seconds": 1.0}, "training.local_seconds"),
        ({"simulation__machines": {"n1": {"batch_size": 4}}}, "simulation.machines"),
        ({"privacy": CORRELATED, "gossip__protocol": "sync"}, "not correlated"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    def begin() -> None:
        experiment = Experiment.model_validate(_with(shifting(), changes))
        build_fleet(experiment, Roster(experiment.simulation.names, tmp_path), experiment.simulation.names)

    with pytest.raises((UserError, ValueError), match=said):
        begin()


def test_drivers_in_which_all_data_is_there_from_the_beginning_say_so(tmp_path: Path) -> None:
    experiment = Experiment.model_validate(shifting())
    with pytest.raises(ConfigError, match="only gossipfl simulate"):
        Staff(experiment, Roster(experiment.simulation.names, tmp_path), ["n0"])
    loaded = load(tmp_path, shifting(audit={"canaries": 10}, privacy=NOISE))
    with pytest.raises(ConfigError, match="only gossipfl simulate"):
        train_pooled(loaded, tmp_path / "pooled")
    with pytest.raises(ConfigError, match="only gossipfl simulate"):
        set_stage(loaded)


def _with(content: Content, changes: dict[str, Any]) -> Content:
    for path, value in changes.items():
        *sections, last = path.split("__")
        place: dict[str, Any] = content
        for section in sections:
            place = place[section]
        place[last] = value
    return content
