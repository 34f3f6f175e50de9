"""Which engine runs: a choice that leaves no trace."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.averaging import lines, request, run
from tests.sim.test_resuming import stopper
from tests.sim.training import PRIVACY

from gossipfl.sim.engines.auto import AutoEngine, Trial

CONTENT: dict[str, Any] = {
    "model": {"source": "builtin:mlp", "inputs": 64, "hidden": [16]},
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "features": "features", "test_share": 0.1, "held_out": 0.0},
    "training": {
        "phases": 12,
        "local_steps": 2,
        "batch_size": 16,
        "learning_rate": 0.01,
        "device": "cpu",
        "threads": 1,
    },
    "privacy": {"level": "none"},
    "topology": {"kind": "ring"},
    "gossip": {"protocol": "sync", "settle_rounds": 4, "deadline_s": 5.0, "linger_s": 10.0},
    "simulation": {"nodes": 6, "evaluate_every": 1, "links": {"latency_s": 0.1}},
}


def content(engine: str, **training: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(CONTENT))
    changed["simulation"]["engine"] = engine
    changed["training"] |= training
    return changed


@pytest.mark.parametrize(
    "training",
    [{"optimizer": "adam", "max_grad_norm": 0.5}, {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine"}],
)
def test_loop_and_batched_differ_by_rounding_alone(tmp_path: Path, training: dict[str, Any]) -> None:
    ends = {}
    for engine in ("loop", "batched"):
        result = run(tmp_path / engine, content(engine, **training))
        assert result.engine == engine
        ends[engine] = [line["test_loss"] for line in lines(tmp_path / engine)]
    assert np.allclose(ends["loop"], ends["batched"], rtol=1e-4)


@pytest.mark.parametrize(("engine", "level"), [("loop", "none"), ("batched", "none"), ("batched", "update")])
@pytest.mark.slow
def test_the_choice_of_an_engine_changes_nothing_but_the_engine(
    tmp_path: Path, engine: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = Trial.seconds

    def wished(trial: Trial) -> tuple[float, float]:
        seconds(trial)
        return (0.0, 1.0) if engine == "loop" else (1.0, 0.0)

    monkeypatch.setattr(Trial, "seconds", wished)
    auto, named = ({**content(each), "privacy": PRIVACY[level]} for each in ("auto", engine))
    chosen = run(tmp_path / "auto", auto)
    run(tmp_path / "named", named)
    assert chosen.engine == engine
    assert chosen.as_json()["engine"] == engine
    assert lines(tmp_path / "auto") == lines(tmp_path / "named")


def test_a_resumed_run_keeps_the_engine_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trial, "seconds", lambda _: (0.0, 1.0))
    whole = run(tmp_path / "whole", content("auto"))
    (tmp_path / "parts").mkdir()
    stopped = request(tmp_path / "parts", content("auto"), resume=True)(show=stopper(5.0))
    assert not stopped.done
    monkeypatch.setattr(AutoEngine, "_quicker", lambda *_: pytest.fail("it was chosen already"))
    resumed = request(tmp_path / "parts", content("auto"), resume=True)()
    assert resumed.engine == whole.engine == "loop"
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
