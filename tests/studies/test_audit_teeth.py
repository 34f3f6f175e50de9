"""An audit finds mistakes that are really there: each is planted in the mechanism's own seam."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.studies.auditing import CLAIMED, NO_NOISE, audited

from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.mechanisms.example import ExampleMechanism
from gossipfl.privacy.mechanisms.parts import Drawn
from gossipfl.privacy.sources import clipping
from gossipfl.privacy.streams import Float64Vector, SeededStream
from gossipfl.studies.audit_privacy import AuditResult

KILLED = [{"node": "n0", "from_s": from_s, "until_s": from_s + 1} for from_s in (3.0, 9.5)]


def test_without_noise_200_canaries_show_more_than_two_and_a_half(tmp_path: Path) -> None:
    found = audited(tmp_path, **NO_NOISE)
    assert found.epsilon_claimed is None
    assert found.epsilon_lower_bound >= 2.5
    assert all(view.bound.epsilon > 0 for view in found.views)


@pytest.mark.parametrize("seed", range(3))
def test_a_claim_that_is_right_is_not_refuted(tmp_path: Path, seed: int) -> None:
    found = audited(tmp_path, seed=seed)
    assert found.epsilon_claimed == pytest.approx(CLAIMED, rel=0.02)
    assert found.holds
    assert found.charged == found.payable == 40


@pytest.mark.parametrize("engine", ["hooks", "grouped"])
def test_no_clipping_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr(clipping, "_norms", lambda gradients, _taking: torch.zeros(len(gradients), len(gradients[0])))
    refuted(audited(tmp_path, privacy__engine=engine), at_least=2.0)


def test_noise_that_is_too_small_by_the_batch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = SeededStream.normal

    def divided(stream: SeededStream, count: int) -> Float64Vector:
        return plain(stream, count) / 100

    monkeypatch.setattr(SeededStream, "normal", divided)
    refuted(audited(tmp_path), at_least=2.0)


def test_noise_of_one_seed_in_every_step_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = SeededStream.at

    def stuck(stream: SeededStream, step: int) -> SeededStream:
        return plain(stream, 0 if stream._purpose.startswith("noise") else step)

    monkeypatch.setattr(SeededStream, "at", stuck)
    found = audited(tmp_path)
    refuted(found, at_least=2.0)
    assert found.views[0].bound.attack == "variation"


def test_a_retry_that_is_not_charged_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "killed.jsonl"
    trace.write_text("\n".join(map(json.dumps, KILLED)) + "\n")
    weather = {
        "simulation__availability": {"kind": "trace", "trace": str(trace)},
        "gossip__deadline_s": 5.0,
        # without a target, which would end the run early instead
        "privacy": {"level": "example", "noise_multiplier": 3.0, "target_delta": 1e-5},
    }
    # of a node that is killed in the middle of two phases every step is paid for, also those done twice
    sound = audited(tmp_path / "sound", **weather)
    assert sound.payable == sound.charged == 50
    plain, paid = ExampleMechanism.draw, set()

    def forgetful(mechanism: ExampleMechanism, step: int) -> Drawn:
        if (id(mechanism), step) in paid:
            return plain(ExampleMechanism(replace(mechanism._parts, account=FreeAccount())), step)
        paid.add((id(mechanism), step))
        return plain(mechanism, step)

    monkeypatch.setattr(ExampleMechanism, "draw", forgetful)
    found = audited(tmp_path / "planted", **weather)
    assert found.charged == 40 < found.payable
    assert not found.holds


def refuted(found: AuditResult, *, at_least: float) -> None:
    """By the one who sees every gradient, and clearly."""
    assert found.epsilon_claimed is not None
    assert found.epsilon_claimed < at_least <= found.epsilon_lower_bound
    assert not found.holds
