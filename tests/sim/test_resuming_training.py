"""Training that was stopped goes on as if it had not been, whatever trains."""

from pathlib import Path
from typing import Any

import pytest
from tests.sim.averaging import lines
from tests.sim.training import FILES, NOISE, digits, resume, with_engine

WAIT_FREE = {"protocol": "wait_free", "settle_rounds": 6, "deadline_s": 5.0, "linger_s": 20.0}
STRAGGLING = {"kind": "log_normal", "step_s": 0.1, "spread": 0.6}
CHURN = {"kind": "churn", "up_s": 4.0, "down_s": 0.5}


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)


@pytest.mark.parametrize("availability", [{"kind": "always"}, CHURN], ids=["always", "churn"])
@pytest.mark.parametrize("privacy", [{"level": "none"}, NOISE], ids=["none", "example"])
@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("gossip", [WAIT_FREE, {**WAIT_FREE, "protocol": "sync"}], ids=["wait_free", "sync"])
def test_stopped_training_ends_as_if_uninterrupted(
    tmp_path: Path, gossip: dict[str, Any], engine: str, privacy: dict[str, Any], availability: dict[str, Any]
) -> None:
    content = with_engine(
        digits(
            gossip=gossip,
            privacy=privacy,
            training__phases=8,
            training__local_steps=3,
            simulation__nodes=8,
            simulation__compute=STRAGGLING,
            simulation__availability=availability,
        ),
        engine,
    )
    whole = resume(tmp_path / "whole", content)
    for rounds in (2.0, 5.0, 9.0):
        assert not resume(tmp_path / "parts", content, stop_at=rounds).done
    resumed = resume(tmp_path / "parts", content)
    assert resumed.done
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
    assert (resumed.final, resumed.virtual_s) == (whole.final, whole.virtual_s)
    assert (resumed.node_steps, resumed.epsilon) == (whole.node_steps, whole.epsilon)
    if availability is CHURN:
        assert any(not all(line["up"]) for line in lines(tmp_path / "whole", "nodes.jsonl")[:-1])
