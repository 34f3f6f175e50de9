"""Factors trained in turn, in simulated runs: every engine, every level, nodes in different phases, and resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.test_engines import assert_close, both
from tests.sim.training import FILES, PRIVACY, Content, play, resume, sentences, with_engine

from gossipfl.sim.engines.batched import BatchedEngine

ALTERNATING = {"kind": "alternating", "rank": 3, "targets": ["q_proj", "v_proj"], "alternate_every": 2}
Models = dict[str, Path]
STRAGGLING = {"kind": "log_normal", "step_s": 0.1, "spread": 0.6}


def content(folder: Path, models: Models, level: str, protocol: str, **changes: Any) -> Content:
    return sentences(
        folder,
        models["llama"],
        "causal-lm",
        adapter=ALTERNATING,
        privacy=PRIVACY[level],
        training__phases=changes.pop("training__phases", 7),
        gossip={"settle_rounds": 2, "deadline_s": 5.0, "linger_s": 20.0, "protocol": protocol},
        training__local_steps=3,
        simulation__compute=STRAGGLING,
        **changes,
    )


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@pytest.mark.parametrize("level", ["none", "example", "update"])
@pytest.mark.slow
def test_batched_is_the_loop_though_nodes_are_in_different_phases(
    tmp_path: Path, tiny_folders: Models, level: str, protocol: str
) -> None:
    looped, batched = both(tmp_path, content(tmp_path, tiny_folders, level, protocol))
    assert_close(looped, batched)


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.slow
def test_a_stopped_run_ends_as_if_uninterrupted(
    tmp_path: Path, tiny_folders: Models, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    wanted = with_engine(content(tmp_path / "parts", tiny_folders, "example", "wait_free"), engine)
    content(tmp_path / "whole", tiny_folders, "example", "wait_free")
    whole = resume(tmp_path / "whole", wanted)
    for rounds in (1.5, 3.0, 5.5):
        assert not resume(tmp_path / "parts", wanted, stop_at=rounds).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


def test_all_nodes_of_a_phase_leave_the_same_factor_where_it_was(tmp_path: Path, tiny_folders: Models) -> None:
    # two phases of B and no word on A: all nodes still have the A that they began with
    short = content(tmp_path, tiny_folders, "update", "wait_free", training__phases=2)
    played = play(tmp_path, with_engine(short, "batched"))
    assert isinstance(played.training.engine, BatchedEngine)
    start = played.training.crew.initial
    for body in played.world.bodies.values():
        state = body.snapshot.state
        for name in (segment.name for segment in state.spec.segments):
            if name.endswith(".lora_A"):
                assert np.array_equal(state.segment(name), start.segment(name))
            else:
                assert np.all(state.segment(name) != 0)
