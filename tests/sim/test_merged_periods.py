"""An adapter per period at simulated nodes: by the code of a real node, against adapters that are kept one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.test_periods import LATER, PERIODS, recorded, shifting
from tests.sim.training import FILES, NOISE, UPDATE, Content, digits, resume, with_engine

from gossipfl.config.experiment import Experiment
from gossipfl.learning.bench import Bench
from gossipfl.privacy.period_account import PeriodAccount
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.runs.roster import Roster
from gossipfl.state import AdapterState

PHASES, COMES = 6, 3
"""Phases of a node that is driven here, and the one before which its second period comes."""


def fleet_of(folder: Path, continual: str, **changes: Any) -> Fleet:
    content = shifting(training__continual=continual, **changes)
    content["simulation"]["periods"] = {**PERIODS, "later": [{**LATER[0], "phase": COMES}]}
    experiment = Experiment.model_validate(content)
    return build_fleet(experiment, Roster(experiment.simulation.names, folder), ["n1"])


def train(bench: Bench, state: AdapterState, phase: int) -> AdapterState:
    return bench.learner.train(state, first_step=phase * 5, steps=5, phase=phase).state


@pytest.mark.parametrize(
    ("level", "optimizer"),
    [({"level": "none"}, "adamw"), (NOISE, "sgd"), pytest.param(UPDATE, "adamw", marks=pytest.mark.slow)],
)
def test_a_learner_shares_the_mean_of_adapters_that_others_keep_one_by_one(
    tmp_path: Path, level: dict[str, Any], optimizer: str
) -> None:
    """The newest of them is trained by a learner that knows of no others; all move alike with what gossip brings."""
    rng = np.random.default_rng(7)
    changes: dict[str, Any] = {"privacy": level, "training__optimizer": optimizer}
    if optimizer == "sgd":
        changes.update(training__weight_decay=0.0, training__learning_rate=0.1)
    merged, newest = (fleet_of(tmp_path, continual, **changes) for continual in ("merged", "newest"))
    shared = merged.benches["n1"].adapted.initial
    adapters = [shared.vector.astype(np.float64)]
    for phase in range(PHASES):
        for fleet in (merged, newest):
            fleet.arrive("n1", phase)
        if phase == COMES:
            adapters.append(np.mean(adapters, axis=0))
        own = train(newest.benches["n1"], AdapterState(shared.spec, adapters[-1].astype(np.float32)), phase)
        adapters[-1] = own.vector.astype(np.float64)
        shared = train(merged.benches["n1"], shared, phase)
        np.testing.assert_allclose(shared.vector, np.mean(adapters, axis=0), atol=1e-4)
        mixed = AdapterState(shared.spec, shared.vector + 0.01 * rng.normal(size=shared.spec.size).astype(np.float32))
        adapters = [adapter + (mixed.vector.astype(np.float64) - np.mean(adapters, axis=0)) for adapter in adapters]
        shared = mixed
    assert np.abs(adapters[0] - adapters[1]).max() > 1e-2, "they are not the same"


@pytest.mark.parametrize("level", [NOISE, UPDATE], ids=["example", "update"])
def test_it_costs_what_newest_costs(tmp_path: Path, level: dict[str, Any]) -> None:
    paid = []
    for continual in ("merged", "newest"):
        fleet = fleet_of(tmp_path, continual, privacy=level)
        state, account = fleet.benches["n1"].adapted.initial, fleet.simulated["n1"]
        assert isinstance(account, PeriodAccount)
        for phase in range(PHASES):
            fleet.arrive("n1", phase)
            state = train(fleet.benches["n1"], state, phase)
        paid.append((account.charges(), account.epsilon(), [part.steps for part in account._parts]))
    assert paid[0] == paid[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same nodes, one of which gets a second period, by engine; and as they forget."""
    folder = tmp_path_factory.mktemp("merged")
    steep = {"training__optimizer": "sgd", "training__learning_rate": 0.1, "training__weight_decay": 0.0}
    for name, engine in (("merged", "loop"), ("newest", "loop"), ("batched", "batched")):
        continual = "newest" if name == "newest" else "merged"
        resume(folder / name, with_engine(shifting(training__continual=continual, **steep), engine))
    return {name: folder / name for name in ("merged", "newest", "batched")}


def test_until_a_second_period_comes_it_is_newest_bit_for_bit(runs: dict[str, Path]) -> None:
    merged, newest = (recorded(runs[name], "nodes.jsonl") for name in ("merged", "newest"))
    alike = [line for line in newest if line["step"][1] <= 4 * 5]
    assert len(alike) > 3
    assert merged[: len(alike)] == alike
    assert merged[len(alike) :] != newest[len(alike) :]


def test_in_one_pass_it_is_what_it_is_one_at_a_time(runs: dict[str, Path]) -> None:
    one, other, newest = (
        recorded(runs[name], "nodes.jsonl")[-1]["own_loss"] for name in ("merged", "batched", "newest")
    )
    assert one == pytest.approx(other, rel=1e-3)
    assert abs(newest[1] - one[1]) > 1e-2 * one[1]


@pytest.mark.slow
def test_in_one_pass_what_is_clipped_is_what_the_newest_has_learned_in_a_phase(tmp_path: Path) -> None:
    for engine in ("loop", "batched"):
        content = shifting(training__continual="merged", privacy={**UPDATE, "noise_multiplier": 0.05})
        resume(tmp_path / engine, with_engine(content, engine))
    one, other = (recorded(tmp_path / engine, "nodes.jsonl")[-1]["own_loss"] for engine in ("loop", "batched"))
    assert one == pytest.approx(other, rel=1e-3)


def test_without_periods_a_run_is_that_of_newest(tmp_path: Path) -> None:
    for continual in ("merged", "newest"):
        resume(tmp_path / continual, digits(training__continual=continual, training__phases=2))
    for name in FILES:
        one, other = ((tmp_path / continual / "run" / name).read_bytes() for continual in ("merged", "newest"))
        assert one == other


@pytest.mark.parametrize(
    ("engine", "level", "availability"),
    [
        ("loop", {"level": "none"}, "always"),
        pytest.param("batched", NOISE, "churn", marks=pytest.mark.slow),
        pytest.param("loop", UPDATE, "churn", marks=pytest.mark.slow),
    ],
)
def test_stopped_in_between_it_ends_as_if_uninterrupted(
    tmp_path: Path, engine: str, level: dict[str, Any], availability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    away = {"kind": "always"} if availability == "always" else {"kind": "churn", "up_s": 20.0, "down_s": 3.0}
    content: Content = shifting(privacy=level, training__continual="merged", simulation__availability=away)
    content = with_engine(content, engine)
    resume(tmp_path / "whole", content)
    for rounds in (2.0, 5.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    stopped, ended = (recorded(tmp_path / name, "nodes.jsonl")[-1]["step"][1] for name in ("parts", "whole"))
    assert 4 * 5 < stopped < ended, "the newest adapter is somewhere else than the mean, and goes on"
    assert resume(tmp_path / "parts", content).done
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
