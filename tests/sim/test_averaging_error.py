"""What runs say about the mean of factors and the mean of weights."""

from pathlib import Path
from typing import Any

import pytest
from tests.baseline.flower_runs import COMPLETE, centralized, lines_of
from tests.sim.training import Content, resume, sentences, with_engine

PAIRS = {"rank": 3, "targets": ["q_proj", "v_proj"]}
Models = dict[str, Path]


def content(folder: Path, models: Models, kind: str, **changes: Any) -> Content:
    settings = {"adapter": {**PAIRS, "kind": kind}, "training__phases": 4, **COMPLETE, **changes}
    return sentences(folder, models["llama"], "causal-lm", **settings)


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_exact_averages_of_factors_miss_the_mean_of_weights_all_the_same(
    tmp_path: Path, tiny_folders: Models, engine: str
) -> None:
    result = resume(
        tmp_path, with_engine(content(tmp_path, tiny_folders, "lora", simulation__evaluate_every=1), engine)
    )
    errors = [line["averaging_error"] for line in lines_of(result)]
    assert errors[0] == 0.0
    assert all(0.001 < error < 1.0 for error in errors[1:])
    # though all have the same after each mixing
    assert result.final["consensus_distance"] < 1e-6
    assert result.final["averaging_error"] == errors[-1]


def test_while_one_factor_rests_in_agreement_nothing_is_missed(tmp_path: Path, tiny_folders: Models) -> None:
    result = resume(tmp_path, content(tmp_path, tiny_folders, "alternating", simulation__evaluate_every=1))
    assert all(line["averaging_error"] < 1e-6 for line in lines_of(result))


@pytest.mark.parametrize("kind", ["ffa", "core"])
def test_kinds_that_average_exactly_have_no_such_figure(tmp_path: Path, tiny_folders: Models, kind: str) -> None:
    result = resume(tmp_path, content(tmp_path, tiny_folders, kind))
    assert "averaging_error" not in result.final
    assert all("averaging_error" not in line for line in lines_of(result))


def test_it_survives_a_stop(tmp_path: Path, tiny_folders: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipfl.sim.running.LOOK_EVERY", 4)
    ring = {"topology": {"kind": "ring"}, "gossip": {"protocol": "wait_free", "settle_rounds": 5}}
    wanted = content(tmp_path / "parts", tiny_folders, "lora", **ring)
    content(tmp_path / "whole", tiny_folders, "lora")
    whole = resume(tmp_path / "whole", wanted)
    for rounds in (2.0, 5.0):
        assert not resume(tmp_path / "parts", wanted, stop_at=rounds).done
    assert resume(tmp_path / "parts", wanted).final == whole.final


def test_flowers_server_misses_as_much_as_exact_gossip(tmp_path: Path, tiny_folders: Models) -> None:
    wanted = content(tmp_path, tiny_folders, "lora", simulation__evaluate_every=1)
    gossip, server = lines_of(resume(tmp_path, wanted)), lines_of(centralized(tmp_path, wanted))
    # gossip looks once more at its end
    assert len(server) == len(gossip) - 1 == 5
    for one, other in zip(server, gossip, strict=False):
        assert one["averaging_error"] == pytest.approx(other["averaging_error"], rel=1e-4)
