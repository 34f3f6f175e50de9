"""Ways of clipping in every engine, and over a stop: the norm that follows the gradients goes on where it was."""

from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_engines import assert_close, both
from tests.sim.training import FILES, NOISE, Content, digits, play, resume, with_engine

QUANTILE = {**NOISE, "clipping_quantile": 0.5}
CLIPPINGS: dict[str, dict[str, Any]] = {"per layer": {**NOISE, "clipping": "per_layer"}, "quantile": QUANTILE}


def content(privacy: dict[str, Any]) -> Content:
    return digits(privacy=privacy, training__phases=4, training__optimizer="sgd", training__learning_rate=0.05)


@pytest.mark.parametrize("kind", CLIPPINGS)
def test_batched_is_the_loop(tmp_path: Path, kind: str) -> None:
    assert_close(*both(tmp_path, content(CLIPPINGS[kind])))


def test_each_nodes_norm_follows_its_own_gradients(tmp_path: Path) -> None:
    played = play(tmp_path, content(QUANTILE))
    benches = played.training.crew.benches  # type: ignore[attr-defined]
    norms = {float(bench.mechanism.durable()["clipping/norm"]) for bench in benches.values()}
    assert len(norms) == len(benches)
    assert NOISE["max_grad_norm"] not in norms


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_a_stopped_run_ends_as_if_uninterrupted(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    wanted = with_engine(content(QUANTILE), engine)
    whole = resume(tmp_path / "whole", wanted)
    assert not resume(tmp_path / "parts", wanted, stop_at=1.5).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
