"""Nodes spread over a Ray cluster: the loop's results bit for bit, and its errors."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.sim.training import FILES, NOISE, UPDATE, Content, digits, play, resume, sentences, with_engine
from tests.studies.comparing import GOSSIP, compared, loaded

from gossipfl.errors import ConfigError, DataError
from gossipfl.sim.executor import Cluster, Tasks
from gossipfl.studies.compare import compare

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow(80)
QUICK: Content = digits(
    training__phases=4,
    gossip={"protocol": "wait_free", "settle_rounds": 5},
    simulation__nodes=16,
    simulation__compute={"kind": "log_normal", "step_s": 0.1, "spread": 0.3},
)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One for all tests here: its start is most of their time."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


def assert_ray_is_the_loop(folder: Path, content: Content) -> None:
    looped = play(folder, with_engine(content, "loop"))
    spread = play(folder, with_engine(content, "ray"))
    assert isinstance(spread.training.engine, Cluster)
    assert np.array_equal(spread.vectors, looped.vectors)
    receipts = [[body.snapshot.receipt for body in one.world.bodies.values()] for one in (spread, looped)]
    assert receipts[0] == receipts[1]


def test_ray_is_the_loop_exactly(tmp_path: Path) -> None:
    """At level example: below, where a run is stopped too."""
    assert_ray_is_the_loop(tmp_path, {**QUICK, "privacy": UPDATE})


def test_own_models_are_made_in_actors_as_in_the_loop(tmp_path: Path) -> None:
    own = {"phases": 2, "interpolate": True}
    content = {**QUICK, "personal": own, "data": {**QUICK["data"], "held_out": 0.3}, "privacy": NOISE}
    content["simulation"] = {**QUICK["simulation"], "nodes": 5}
    looped = resume(tmp_path / "loop", with_engine(content, "loop"))
    spread = resume(tmp_path / "ray", with_engine(content, "ray"))
    assert spread.personal is not None
    assert (spread.personal, spread.epsilon) == (looped.personal, looped.epsilon)


def test_factors_take_turns_in_actors_as_in_the_loop(tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    turns = {"kind": "alternating", "rank": 3, "targets": ["q_proj"]}
    few = {"training__phases": 3, "training__local_steps": 2}
    assert_ray_is_the_loop(tmp_path, sentences(tmp_path, tiny_folders["llama"], "causal-lm", adapter=turns, **few))


def test_a_mistake_of_the_users_is_the_same_error_in_an_actor(tmp_path: Path) -> None:
    content = with_engine(QUICK, "ray")
    content["simulation"]["actors"] = 1
    content = {**content, "data": {**content["data"], "source": "nowhere.jsonl"}}
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        play(tmp_path, content)


def test_more_actors_than_cores_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    content = with_engine(QUICK, "ray")
    content["simulation"]["actors"] = 3
    with pytest.raises(ConfigError, match=r"simulation\.actors 3: each takes a core, the Ray cluster has 2"):
        play(tmp_path, content)


def test_a_run_stopped_in_training_and_in_settling_goes_on_as_the_loop_does_without_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 8)
    noisy = {**QUICK, "privacy": NOISE}
    whole = resume(tmp_path / "whole", with_engine(noisy, "loop"))
    content = with_engine(noisy, "ray")
    for rounds in (2.0, 6.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    resumed = resume(tmp_path / "parts", content)
    assert resumed.done
    assert resumed.final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


# ---- whole runs in tasks ----


def test_a_comparison_on_ray_is_the_one_in_this_process(tmp_path: Path) -> None:
    table = {"arms": {"ring": GOSSIP}, "seeds": 1}
    compared(tmp_path / "here", table)
    there = loaded(tmp_path / "there", {**table, "executor": "ray", "jobs": 2})
    (ring,) = compare(there, tmp_path / "there" / "study").arms
    assert not ring.faults
    for name in FILES:
        place = Path("study/runs/ring/seed-0") / name
        assert (tmp_path / "here" / place).read_bytes() == (tmp_path / "there" / place).read_bytes()


def test_a_task_that_is_lost_is_an_error_and_not_done_again() -> None:
    def lose(code: str) -> str:
        if code != "0":
            os._exit(int(code))
        return "done"

    with closing(Tasks(lose, address=None, cores=2)) as tasks:
        tasks.start("kept", "0")
        tasks.start("lost", "7")
        found: dict[str, str | Exception] = {}
        while len(found) < 2:
            found |= tasks.ended()
    assert found["kept"] == "done"
    assert isinstance(found["lost"], ray.exceptions.WorkerCrashedError)
