"""Killed and stopped in mid-run: the others go on, and the same command takes up where it was."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.study import Study, make_study, start_together, wait_until

from gossipfl.node.checkpoint import load_latest
from gossipfl.studies.fleet import Fleet

pytestmark = pytest.mark.slow
PHASES = 400
"""Seconds of training: what is done to the nodes has to come before their end, also on a quick and busy machine."""
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a run with a kill and a stop left behind.

    Attributes:
        killed_at, stopped_at: lines of metrics that cid and bob had written then.
        went_on: phases of ada and bob when cid was killed, and later while it was down.
        stop_s, stop_code: how long SIGTERM took, and the exit code.
        stopped_step: in bob's checkpoint after it had ended.
        results: what each node printed last.
    """

    study: Study
    killed_at: int
    stopped_at: int
    went_on: Mapping[str, tuple[int, int]]
    stop_s: float
    stop_code: int
    stopped_step: int
    results: Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Told:
    folder = tmp_path_factory.mktemp("killed") / "study"
    training = {"phases": PHASES, "local_steps": 1, "evaluate_every": 0}
    study = make_study(folder, tiny_model, dials_only=["cid"], training=training)
    jobs = {name: study.job(name) for name in study.names}
    with Fleet(list(jobs.values()), launch=forked) as fleet:
        start_together(study, fleet)
        wait_until(lambda: study.phase("cid") >= 3, fleet, what="cid trains")
        fleet.kill("cid")
        before = {name: study.phase(name) for name in ("ada", "bob")}
        killed_at = len(study.rows("cid"))
        wait_until(lambda: all(study.phase(name) >= before[name] + 2 for name in before), fleet, what="others go on")
        went_on = {name: (before[name], study.phase(name)) for name in before}
        started = time.monotonic()
        fleet.processes["bob"].send_signal(signal.SIGTERM)
        stop_code = fleet.processes["bob"].wait(30)
        stop_s = time.monotonic() - started
        saved, stopped_at = load_latest(study.state("bob")), len(study.rows("bob"))
        assert saved is not None
        fleet.start(jobs["cid"])
        fleet.start(jobs["bob"])
        results = fleet.results(timeout_s=120)
    return Told(study, killed_at, stopped_at, went_on, stop_s, stop_code, saved.snapshot.step, results)


def test_the_others_go_on_while_one_is_dead(told: Told) -> None:
    assert all(later >= before + 2 for before, later in told.went_on.values())


def test_a_killed_node_resumes_at_its_step(told: Told) -> None:
    rows = told.study.rows("cid")
    before, after = rows[told.killed_at - 1], rows[told.killed_at]
    assert after["step"] >= before["step"] > 0
    assert after["phase"] > before["phase"]


def test_epsilon_never_falls_over_lives_and_stays_below_the_target(told: Told) -> None:
    for name in told.study.names:
        spent = [row["epsilon"] for row in told.study.rows(name)]
        assert spent == sorted(spent)
        assert spent[-1] <= 8.0


def test_a_kill_costs_at_most_the_phase_under_way_and_the_one_whose_checkpoint_was_being_written(told: Told) -> None:
    assert told.results["ada"]["step"] == PHASES
    # training does not wait for the disk; charges stand, and what they would have paid for is missing at the end
    assert PHASES - 2 <= told.results["cid"]["step"] <= PHASES


def test_sigterm_ends_a_node_in_time_with_a_checkpoint_and_exit_code_0(told: Told) -> None:
    assert told.stop_code == 0
    assert told.stop_s < STOP_S
    assert told.study.rows("bob")[told.stopped_at - 1]["step"] == told.stopped_step


def test_a_stopped_node_goes_on_at_its_step(told: Told) -> None:
    assert told.study.rows("bob")[told.stopped_at]["step"] == told.stopped_step + 1
    assert told.results["bob"]["step"] == PHASES
