"""`gossipfl audit privacy`: who sees what, bad input, and what the command leaves."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.training import NOISE, load, sentences
from tests.studies.auditing import AUDITED, NO_NOISE, audited, audited_experiment

from gossipfl.cli.app import main
from gossipfl.config.loading import load_experiment
from gossipfl.core.rng import generator
from gossipfl.errors import ConfigError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.audit_bounds import Guesses, LowerBound, p_value
from gossipfl.privacy.plan import epsilon_if_replaced
from gossipfl.studies.audit_privacy import AuditedView, AuditResult, audit_privacy
from gossipfl.studies.audit_run import AuditRun, Lots, set_stage
from gossipfl.studies.audit_scores import log_likelihood

QUICK = Path(__file__).parents[2] / "experiments" / "quick-audit.yaml"
FEW = {"phases": 3, "local_steps": 2, "batch_size": 100, "micro_batch": 128, "learning_rate": 0.05, "device": "cpu"}

LEARNED = {
    "model": {"source": "builtin:mlp", "inputs": 64, "hidden": [64]},
    "training": {**AUDITED["training"], "phases": 40, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.01},
}
"""What learns its records by heart."""


def run_of(folder: Path, included: float, **changes: Any) -> AuditRun:
    """One run with that part of the canaries in."""
    stage = set_stage(audited_experiment(folder, training=FEW, **changes))
    flags = generator(1, purpose="test").random(stage.config.canaries) < included
    return stage.run(Lots("", flags, np.zeros(0, np.bool_)))


def test_who_is_out_is_drawn_and_paid_for_and_who_is_in_is_clipped(tmp_path: Path) -> None:
    everybody, nobody = (run_of(tmp_path / str(part), part) for part in (1.0, 0.0))
    plan = everybody.plan
    assert plan is not None
    assert plan == nobody.plan
    assert everybody.charged == nobody.charged == 6
    # noise and batches are of one seed: what differs at the first step are whole canaries in the sum, each drawn or not
    difference = (everybody.steps - nobody.steps)[0] * plan.expected_batch
    assert np.abs(difference - difference.round()).max() < 1e-4
    assert set(difference.round().tolist()) == {0.0, 1.0}
    assert difference.mean() == pytest.approx(plan.sample_rate, abs=0.1)


def test_a_neighbor_sees_what_is_sent_and_a_farther_node_what_is_left_of_it(tmp_path: Path) -> None:
    config = {"canaries": 200, "members": 0, "hops": [0, 1, 2]}
    everybody, nobody = (run_of(tmp_path / str(part), part, **NO_NOISE, audit=config) for part in (1.0, 0.0))
    observers = [(sight.observer.node, sight.observer.teller) for sight in everybody.sights]
    assert observers == [("n0", "n0"), ("n1", "n0"), ("n2", "n1")]
    # what canaries do, all else being equal, message after message
    own, neighbor, far = (
        np.abs(one.seen - other.seen).mean(axis=1) for one, other in zip(everybody.sights, nobody.sights, strict=True)
    )
    assert neighbor == pytest.approx(own, abs=1e-6)
    # its first message was trained before anything was heard of the owner
    assert far[0] == 0
    assert (far[1:] > 0).all()
    assert (far < 0.6 * neighbor).all()


def test_the_likelihood_is_that_of_the_mixture() -> None:
    seen, rate, sigma = np.array([[0.2, 1.4], [-0.5, 0.9]]), 0.3, 0.8
    density = [np.exp(-((seen - mean) ** 2) / (2 * sigma**2)) for mean in (0.0, 1.0)]
    wanted = np.log(((1 - rate) * density[0] + rate * density[1]) / density[0]).sum(axis=0)
    assert log_likelihood(seen, rate, sigma) == pytest.approx(wanted)
    assert log_likelihood(seen, 1.0, sigma) == pytest.approx(np.log(density[1] / density[0]).sum(axis=0))


def test_wrong_labels_are_learned_and_found(tmp_path: Path) -> None:
    mislabeled = {"kind": "mislabeled", "canaries": 200, "members": 0}
    found = audited(tmp_path, **NO_NOISE, audit=mislabeled, **LEARNED)
    assert found.epsilon_lower_bound > 0.7
    assert {view.bound.attack for view in found.views} <= {"last", "difference"}


@pytest.mark.slow
def test_members_are_told_by_both_attacks_where_records_are_learned_by_heart(tmp_path: Path) -> None:
    config = {"canaries": 20, "members": 100, "shadow_pairs": 6, "hops": [0]}
    # 120 records a node
    found = audited(tmp_path, **NO_NOISE, audit=config, data__test_share=0.8, **LEARNED)
    by = {one.attack: one.roc.auc for one in found.memberships}
    assert set(by) == {"loss", "likelihood-ratio"}
    assert min(by.values()) > 0.62


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), [("bert", "sequence-classification"), ("llama", "causal-lm")])
@pytest.mark.parametrize("level", ["none", "example"])
def test_transformers_are_audited_too(
    tmp_path: Path, tiny_folders: dict[str, Path], level: str, name: str, task: str
) -> None:
    content = sentences(
        tmp_path,
        tiny_folders[name],
        task,
        privacy={"none": {"level": "none"}, "example": {**NOISE, "target_delta": 1e-4}}[level],
        training__phases=3,
        audit={"canaries": 60, "members": 6, "shadow_pairs": 1},
    )
    found = audit_privacy(load(tmp_path, content))
    assert found.holds
    assert found.epsilon_lower_bound >= (1.5 if level == "none" else 0)
    assert {one.attack for one in found.memberships} == {"loss", "likelihood-ratio"}
    assert len(found.memberships) == 6


def test_texts_have_no_label_that_could_be_wrong(tmp_path: Path, tiny_folders: dict[str, Path]) -> None:
    content = sentences(tmp_path, tiny_folders["llama"], "causal-lm", audit={"kind": "mislabeled", "members": 0})
    content["audit"]["canaries"] = 5
    with pytest.raises(ConfigError, match=r"audit\.kind mislabeled: the task has no labels; gradient was expected"):
        audit_privacy(load(tmp_path, content))


@pytest.mark.parametrize("more", [{"clipping": "per_layer"}, {"clipping_quantile": 0.5}])
def test_every_way_of_clipping_is_audited(tmp_path: Path, more: dict[str, Any]) -> None:
    quiet = {"level": "example", "noise_multiplier": 0.05, "target_delta": 1e-5, **more}
    run = run_of(tmp_path, 0.5, privacy=quiet)
    assert run.plan is not None
    # its weights and its biases: two parameters
    assert run.height == (pytest.approx(0.5**0.5) if "clipping" in more else 1.0)
    first = run.steps[0] * run.plan.expected_batch / run.plan.max_grad_norm
    drawn = np.abs(first[run.lots.included] - run.height) < 0.5 * run.height
    assert drawn.mean() == pytest.approx(run.plan.sample_rate, abs=0.1)


def test_under_masks_a_neighbor_sees_the_mean_of_its_neighbors(tmp_path: Path) -> None:
    masked = {
        "protection": "masked",
        "topology": {"kind": "complete"},
        "simulation": {"nodes": 4},
        "audit": {"canaries": 200, "members": 0, "hops": [1]},
    }
    everybody, nobody = (run_of(tmp_path / str(part), part, **NO_NOISE, **masked) for part in (1.0, 0.0))
    plain = [
        run_of(tmp_path / f"plain {part}", part, **NO_NOISE, **masked | {"protection": "plain"}) for part in (1.0, 0.0)
    ]
    behind_masks, seen = (
        one.sights[0].seen[0] - other.sights[0].seen[0] for one, other in ((everybody, nobody), plain)
    )
    # a third of it, in steps of the masks' arithmetic
    assert behind_masks == pytest.approx(seen / 3, abs=1e-4)


def test_shadows_that_would_repeat_shared_noise_are_refused(tmp_path: Path) -> None:
    correlated = {"level": "correlated", "noise_multiplier": 1.0, "pair_noise_multiplier": 1.0}
    config = {"canaries": 50, "members": 20}
    with pytest.raises(ConfigError, match=r"audit\.shadow_pairs 4: shadow runs would repeat"):
        audited(tmp_path, privacy=correlated, audit=config)
    found = audited(tmp_path, privacy=correlated, audit={**config, "shadow_pairs": 0}, training=FEW)
    assert found.holds
    assert found.charged == found.payable == 3


def test_one_record_at_level_update_is_claimed_as_replaced(tmp_path: Path) -> None:
    run = run_of(tmp_path, 0.5, privacy={"level": "update", "noise_multiplier": 2.0})
    assert run.plan is not None
    assert run.epsilon == epsilon_if_replaced(run.plan) > run.plan.epsilon
    assert run.steps.shape == (3, 200)
    assert run.charged == run.payable == 3


def test_the_claim_is_that_of_what_was_charged_at_the_delta_of_the_bounds(tmp_path: Path) -> None:
    """A smaller δ costs more ε: a bound at one says nothing of a claim at another."""
    for level, half in (("example", 1.0), ("update", 0.5)):
        privacy = {"level": level, "noise_multiplier": 2.0, "target_delta": 1e-4}
        # it ends before the last of its phases
        weather = {"simulation": {"nodes": 3, "until_s": 1.5}}
        run = run_of(tmp_path / level, 0.5, privacy=privacy, audit__delta=1e-7, **weather)
        assert run.plan is not None
        assert run.charged < run.plan.steps
        paid = Charge(run.plan.sample_rate, 2.0 * half, run.charged)
        assert run.epsilon == pytest.approx(epsilon([paid], 1e-7, run.plan.accountant))


def test_a_claim_is_refuted_with_the_confidence_of_all_observers_together(tmp_path: Path) -> None:
    stage = set_stage(audited_experiment(tmp_path))

    def result(right: int) -> AuditResult:
        bound = LowerBound(9.0, "last", Guesses(200, 200, right), tests=8)
        views = tuple(AuditedView(observer, bound) for observer in stage.observers)
        return AuditResult(stage, 1.0, 0.0, views, (), 1, 1)

    # 200 coins that are right with e / (1 + e)
    chances = {right: p_value(Guesses(200, 200, right), epsilon=1.0, delta=0.0) for right in range(140, 190)}
    alone = [right for right, chance in chances.items() if 0.05 / 24 <= chance < 0.05 / 8]
    assert alone
    assert all(result(right).holds for right in alone)
    assert not result(max(alone) + 1).holds
    assert replace(result(200), epsilon_claimed=None).holds


def test_an_audit_is_equal_whenever_it_is_run_and_another_seed_is_another(tmp_path: Path) -> None:
    config = {"canaries": 100, "members": 20, "shadow_pairs": 1}
    first, again, other = (
        audit_privacy(audited_experiment(tmp_path / str(number), training=FEW, seed=seed, audit=config)).as_json()
        for number, seed in enumerate((4, 4, 5))
    )
    assert first == again
    assert first["membership"] != other["membership"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audit": None}, "a run without canaries cannot be audited, and it has no section audit"),
        ({"audit__canaries": 0}, "a run without canaries cannot be audited, and audit.canaries is 0"),
        ({"audit__owner": "n9"}, "audit.owner 'n9' is no node; they are n0, n1, n2"),
        ({"audit__hops": [0, 3]}, "audit.hops: nobody is 3 links from n0; the farthest are 2"),
        ({"audit__canaries": 700}, "audit.canaries 700: only 650 values are trained and exchanged"),
        ({"audit__members": 5000}, "5000 of the owner's records are to be in by lot"),
        ({"audit__members": 1}, "members: 1 is no pool"),
        ({"audit__kind": "mislabeled", "audit__canaries": 900}, "900 of the owner's records are to be in by lot"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        audit_privacy(audited_experiment(tmp_path, **changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_command_says_it_and_leaves_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = audited_experiment(tmp_path, audit={"canaries": 100, "members": 20, "shadow_pairs": 1}, training=FEW).path
    arguments = ["audit", "privacy", str(path), "--output"]
    assert main([*arguments, str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= result["epsilon_lower_bound"] <= result["epsilon_claimed"] == pytest.approx(1.0, rel=0.02)
    assert result["holds"]
    assert [view["hops"] for view in result["views"]] == [0, 1, 2]
    assert {Path(file).name for file in result["files"]} == {
        f"{stem}.{ending}" for stem in ("epsilon", "membership") for ending in ("png", "svg")
    }
    assert json.loads((tmp_path / "out" / "result.json").read_text())["views"] == result["views"]
    assert main([*arguments, str(tmp_path / "out")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "loss"), "--attack", "loss"]) == 0
    said = capsys.readouterr()
    assert "The claim was not refuted." in said.out
    assert "likelihood-ratio" not in said.out
    assert "run 1 of 1: canaries" in said.err


def test_a_refuted_claim_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # what the account says is far below what so little noise costs
    loaded = audited_experiment(tmp_path, privacy={"level": "example", "noise_multiplier": 0.3, "target_delta": 1e-5})
    monkeypatch.setattr("gossipfl.privacy.accounting.epsilon", lambda *_: 0.5)
    assert main(["audit", "privacy", str(loaded.path), "--output", str(tmp_path / "out")]) == 1
    assert "The claim is refuted." in capsys.readouterr().out


def test_the_quick_audit_is_what_it_says() -> None:
    experiment = load_experiment(QUICK).experiment
    assert experiment.audit is not None
    assert (experiment.audit.canaries, experiment.audit.kind) == (1000, "gradient")
    assert math.isfinite(experiment.privacy.target_epsilon or math.inf)
