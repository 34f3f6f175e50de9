"""Factors trained in turn, in simulated runs: every engine, every level, nodes in different phases, and resuming."""

from pathlib import Path

import numpy as np
import pytest
from tests.sim.test_engines import assert_close, both
from tests.sim.training import FILES, PRIVACY, Content, digits, play, resume, with_engine

from gossipfl.sim.engines.batched import BatchedEngine

ALTERNATING = {"kind": "alternating", "rank": 3, "targets": ["hidden_1", "output"], "alternate_every": 2}
STRAGGLING = {"kind": "log_normal", "step_s": 0.1, "spread": 0.6}


def content(level: str, protocol: str) -> Content:
    return digits(
        adapter=ALTERNATING,
        privacy=PRIVACY[level],
        training__phases=7,
        gossip={"settle_rounds": 2, "deadline_s": 5.0, "linger_s": 20.0, "protocol": protocol},
        simulation__compute=STRAGGLING,
    )


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@pytest.mark.parametrize("level", ["none", "example", "update"])
def test_batched_is_the_loop_though_nodes_are_in_different_phases(tmp_path: Path, level: str, protocol: str) -> None:
    looped, batched = both(tmp_path, content(level, protocol))
    assert_close(looped, batched)


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_a_stopped_run_ends_as_if_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    wanted = with_engine(content("example", "wait_free"), engine)
    whole = resume(tmp_path / "whole", wanted)
    for rounds in (1.5, 3.0, 5.5):
        assert not resume(tmp_path / "parts", wanted, stop_at=rounds).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


def test_all_nodes_of_a_phase_leave_the_same_factor_where_it_was(tmp_path: Path) -> None:
    # two phases of B and no word on A: all nodes still have the A that they began with
    played = play(tmp_path, with_engine(content("update", "wait_free") | {"training": short()}, "batched"))
    assert isinstance(played.training.engine, BatchedEngine)
    start = played.training.crew.initial
    for body in played.world.bodies.values():
        for layer in ("hidden_1", "output"):
            state = body.snapshot.state
            assert np.array_equal(state.segment(f"{layer}.lora_A"), start.segment(f"{layer}.lora_A"))
            assert np.all(state.segment(f"{layer}.lora_B") != 0)


def short() -> dict[str, object]:
    return {**digits()["training"], "phases": 2}
