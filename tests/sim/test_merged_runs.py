"""Runs whose layers are averaged as products, not factor by factor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.baseline.flower_runs import COMPLETE, centralized, lines_of
from tests.sim.test_engines import both
from tests.sim.training import FILES, PRIVACY, Content, Played, play, resume, sentences, with_engine

from gossipfl.core.factors import update_distance
from gossipfl.errors import ConfigError
from gossipfl.runs.adapter_file import read_adapter
from gossipfl.state import AdapterState

Models = Mapping[str, Path]
# k_proj of the tiny Llama: out 16, in 64
LORA = {"kind": "lora", "rank": 3, "targets": ["k_proj"]}


def content(folder: Path, models: Models, merge: str, **changes: Any) -> Content:
    settings = {"adapter": {**LORA, "merge": merge}, "training__phases": 3, "training__local_steps": 3, **changes}
    return sentences(folder, models["llama"], "causal-lm", **settings)


def updates(played: Played, state: AdapterState) -> NDArray[np.float64]:
    adapted = played.training.crew.resident.adapted  # type: ignore[attr-defined]
    return np.stack([layer.B.astype(np.float64) @ layer.A for layer in adapted.parts.factors(state)])


@pytest.mark.parametrize("protocol", ["sync", "wait_free"])
def test_engines_agree_on_products(tmp_path: Path, tiny_folders: Models, protocol: str) -> None:
    gossip = {"protocol": protocol, "settle_rounds": 3, "deadline_s": 60.0}
    looped, batched = both(tmp_path, content(tmp_path, tiny_folders, "svd", gossip=gossip))
    for name, body in looped.world.bodies.items():
        one, other = (
            updates(looped, state) for state in (body.snapshot.state, batched.world.bodies[name].snapshot.state)
        )
        assert np.abs(one).max() > 1e-3
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_all_agree_on_the_product_after_an_exact_round(tmp_path: Path, tiny_folders: Models) -> None:
    played = both(tmp_path, content(tmp_path, tiny_folders, "svd", **COMPLETE))[0]
    found = np.stack([updates(played, body.snapshot.state) for body in played.world.bodies.values()])
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found, found[:1].repeat(len(found), 0), atol=1e-6)


def test_a_stopped_run_ends_as_if_uninterrupted(
    tmp_path: Path, tiny_folders: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    wanted = with_engine(content(tmp_path / "parts", tiny_folders, "svd"), "loop")
    content(tmp_path / "whole", tiny_folders, "svd")
    whole = resume(tmp_path / "whole", wanted)
    assert not resume(tmp_path / "parts", wanted, stop_at=1.5).done
    assert resume(tmp_path / "parts", wanted).final == whole.final
    assert "averaging_error" not in whole.final
    for name in FILES:
        assert (tmp_path / "parts" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("merge", ["svd", "exact", "stack"])
def test_the_mean_model_is_that_of_the_updates_and_agreement_is_on_them(
    tmp_path: Path, tiny_folders: Models, merge: str
) -> None:
    wanted = content(tmp_path, tiny_folders, merge, **COMPLETE)
    result = resume(tmp_path, with_engine(wanted, "loop"))
    lines = lines_of(result)
    assert (lines[-1]["bound"] is None) is (merge == "svd")
    # a truncated mean is none
    assert lines[-1]["exact"] is (None if merge == "svd" else True)
    # with svd nodes agree on products in factors of their own
    assert result.final["consensus_distance"] < 1e-5
    assert max(line["consensus_distance"] for line in lines) < 1e-5
    played = play(tmp_path, with_engine(wanted, "loop"))
    adapted = played.training.crew.resident.adapted  # type: ignore[attr-defined]
    kept = read_adapter(result.output, adapted.spec)
    for body in played.world.bodies.values():
        assert update_distance(kept, body.snapshot.state, adapted.experiment.adapter.scale) < 1e-5
    assert update_distance(kept, adapted.initial, adapted.experiment.adapter.scale) > 1e-2


@pytest.mark.parametrize("merge", ["exact", "stack"])
@pytest.mark.parametrize("level", ["none", "update"])
def test_what_is_folded_is_trained_on_and_agreed_on(
    tmp_path: Path, tiny_folders: Models, merge: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = content(tmp_path, tiny_folders, merge, **COMPLETE, privacy=PRIVACY[level], training__phases=2)
    played = play(tmp_path, with_engine(wanted, "batched"))
    assert "engine loop instead of batched: adapter.merge" in caplog.text
    adapted = played.training.crew.resident.adapted  # type: ignore[attr-defined]
    states = [body.snapshot.state for body in played.world.bodies.values()]
    folded = [name for name in adapted.parts.folds if name.endswith("k_proj.lora_merged")]
    assert len(folded) == len(adapted.parts.folds) == 2
    for state in states:
        np.testing.assert_allclose(state.vector, states[0].vector, atol=1e-5)
        assert all(np.abs(state.segment(name)).max() > 1e-5 for name in folded)
        assert bool(state.vector[state.spec.slices[folded[0]].stop - 1] != 0)
    # messages are as large as the layers
    assert states[0].spec.size == 2 * (3 * (16 + 64) + 16 * 64)


def test_folded_and_plain_runs_go_the_same_way_from_equal_updates(tmp_path: Path, tiny_folders: Models) -> None:
    # the first phase begins at B = 0 for all: after it the mean of the updates is the same thing, however it is held
    held = []
    for merge in ("exact", "stack"):
        wanted = content(tmp_path, tiny_folders, merge, **COMPLETE, training__phases=1)
        played = play(tmp_path, with_engine(wanted, "loop"))
        adapted = played.training.crew.resident.adapted  # type: ignore[attr-defined]
        state = played.world.bodies["n0"].snapshot.state
        total = [adapted.parts.scale * layer for layer in updates(played, state)]
        held.append([one + state.segment(name) for one, name in zip(total, adapted.parts.folds, strict=True)])
    assert np.abs(held[0]).max() > 1e-4
    np.testing.assert_allclose(held[0], held[1], atol=1e-6)


def test_a_folded_run_that_was_stopped_ends_as_if_uninterrupted(
    tmp_path: Path, tiny_folders: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    ring = {"topology": {"kind": "ring"}, "gossip": {"protocol": "wait_free", "settle_rounds": 3}}
    wanted = with_engine(content(tmp_path / "parts", tiny_folders, "exact", **ring), "loop")
    content(tmp_path / "whole", tiny_folders, "exact")
    whole = resume(tmp_path / "whole", wanted)
    assert not resume(tmp_path / "parts", wanted, stop_at=1.5).done
    assert resume(tmp_path / "parts", wanted).final == whole.final


def test_flower_averages_values_and_says_so(tmp_path: Path, tiny_folders: Models) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.merge: svd is for gossip"):
        centralized(tmp_path, content(tmp_path, tiny_folders, "svd"))


@pytest.mark.parametrize("merge", ["svd", "exact"])
def test_of_what_stays_the_mean_is_kept_too_and_not_one_nodes(tmp_path: Path, tiny_folders: Models, merge: str) -> None:
    adapter = {**LORA, "merge": merge, "private": ["*.layers.0.*"]}
    wanted = with_engine(content(tmp_path, tiny_folders, merge, **COMPLETE, adapter=adapter), "loop")
    played = play(tmp_path, wanted)
    states = [body.snapshot.state for body in played.world.bodies.values()]
    kept = read_adapter(resume(tmp_path, wanted).output, states[0].spec)
    staying = [segment.name for segment in kept.spec.segments if not segment.shared]
    assert [name.rpartition(".")[2] for name in staying] == ["lora_A", "lora_B"]
    for name in staying:
        values = np.stack([state.segment(name) for state in states])
        assert np.abs(values[0] - values[1]).max() > 1e-3
        np.testing.assert_allclose(kept.segment(name), values.mean(axis=0), atol=1e-6)
