"""Runs in which a part of the adapter stays at its node."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.baseline.flower_runs import COMPLETE, centralized
from tests.sim.test_engines import assert_close, both
from tests.sim.training import FILES, PRIVACY, Content, digits, play, resume, with_engine

from gossipfl.errors import ConfigError

PERSONAL = {"kind": "full", "private": ["output.*"]}
SHARED = 64 * 16 + 16
"""Values of the hidden layer."""


def content(**changes: Any) -> Content:
    return digits(adapter=PERSONAL, training__phases=5, **changes)


@pytest.mark.parametrize("level", ["none", "example", "update"])
@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
@pytest.mark.slow
def test_batched_is_the_loop(tmp_path: Path, level: str, protocol: str) -> None:
    gossip = {"protocol": protocol, "settle_rounds": 3, "deadline_s": 60.0}
    looped, batched = both(tmp_path, content(privacy=PRIVACY[level], gossip=gossip))
    assert_close(looped, batched)


@pytest.mark.parametrize("codec", ["fp32", "int8"])
def test_only_the_rest_is_averaged_and_sent(tmp_path: Path, codec: str) -> None:
    wanted = content(**{**COMPLETE, "gossip": {**COMPLETE["gossip"], "codec": codec, "settle_rounds": 20}})
    played = play(tmp_path, wanted)
    states = [body.snapshot.state for body in played.world.bodies.values()]
    start = played.training.crew.initial
    close = 1e-6 if codec == "fp32" else 1e-3
    for state in states[1:]:
        np.testing.assert_allclose(state.sharing().vector, states[0].sharing().vector, atol=close)
        assert np.abs(state.segment("output.weight") - states[0].segment("output.weight")).max() > 0.01
    assert all(np.abs(state.segment("output.weight") - start.segment("output.weight")).max() > 0.01 for state in states)
    sent = {body.bytes_sent for body in played.world.bodies.values()}
    values = SHARED * 4 if codec == "fp32" else SHARED + 4 * -(-SHARED // 256)
    # 5 phases and 20 rounds to settle, each to three others
    assert sent == {(5 + 20) * 3 * values}


def test_a_stopped_run_ends_as_if_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    wanted = with_engine(content(gossip={"protocol": "wait_free", "settle_rounds": 4, "codec": "int8"}), "batched")
    whole = resume(tmp_path / "whole", wanted)
    for rounds in (1.5, 3.5):
        assert not resume(tmp_path / "parts", wanted, stop_at=rounds).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


def test_agreement_is_on_what_is_exchanged(tmp_path: Path) -> None:
    result = resume(tmp_path, content(**COMPLETE))
    assert result.final["consensus_distance"] < 1e-5


def test_flower_has_no_place_for_it_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.private: is for gossip"):
        centralized(tmp_path, content())


def test_sums_of_whole_states_cannot_leave_a_part_at_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="push_sum keeps sums of whole states"):
        resume(tmp_path, content(gossip={"protocol": "push_sum"}))
