"""Experiment 1: its arms are what they are called, and its reading says what the recorded runs say."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from tests.report.written_runs import Written, compared
from tests.sim.training import digits, load

from gossipfl.config.loading import change_experiment, load_experiment
from gossipfl.report.comparison import Comparison, Fault
from gossipfl.report.statistics import Difference
from gossipfl.studies.compare import compare
from gossipfl.studies.mnist_noise_arms import FULL, QUICK, Arm, Scale, arms_of
from gossipfl.studies.mnist_noise_claims import KINDS, Figures, Finding, Verdict, area, claims_of, verdict_of
from gossipfl.studies.mnist_noise_reading import reading, verdict

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "mnist-noise.yaml"


def test_the_full_scale_is_every_network_with_every_noise() -> None:
    arms = arms_of(FULL)
    # seven networks and owners of noise, two kinds of four ε, and five networks without any
    assert len(arms) == 7 * 8 + 5
    assert sum(arm.whose == "central" for arm in arms.values()) == 2 * 8
    assert all(arm.network.startswith("fedavg") for arm in arms.values() if arm.whose == "central")


@pytest.mark.parametrize("name", list(arms_of(FULL)))
def test_every_arm_is_an_experiment(name: str) -> None:
    arm = arms_of(FULL)[name].as_config()
    table = {"arms": {name: arm}}
    loaded = change_experiment(load_experiment(EXPERIMENT), {"compare": table}, source="test")
    changes = loaded.experiment.compare.arms[name].set if loaded.experiment.compare else {}
    made = change_experiment(loaded, {"compare": None, **changes}, source="test").experiment
    noised = made.privacy.level != "none" or made.flower.central_noise is not None
    assert noised == ("nominal" in name or "honest" in name)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Difference(0.2, 0.1, 0.3, 3), "holds"),
        (Difference(-0.2, -0.3, -0.1, 3), "the opposite"),
        (Difference(0.2, -0.1, 0.5, 3), "not shown"),
        (Difference(0.2, None, None, 1), "not shown"),
        (Difference(None, None, None, 0), "no result"),
    ],
)
def test_a_claim_holds_only_where_its_interval_says_so(difference: Difference, said: str) -> None:
    assert verdict_of(difference, guessing=False) == said


def test_two_arms_that_guess_say_nothing_of_each_other() -> None:
    assert verdict_of(Difference(0.02, 0.01, 0.03, 5), guessing=True) == "at chance"


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["holds", "holds", "at chance"], "holds in all 2 pairs that tell anything (1 at chance)"),
        (["the opposite"], "the opposite holds in all 1 pairs that tell anything"),
        (["holds", "not shown"], "not in general: of 2 pairs that tell anything 1 holds, 1 not shown"),
        (["at chance", "no result"], "cannot be told (1 at chance, 1 no result)"),
    ],
)
def test_a_claim_is_judged_in_one_sentence(verdicts: list[Verdict], said: str) -> None:
    empty = Difference(None, None, None, 0)
    assert verdict([Finding("a − b", empty, empty, each) for each in verdicts]) == said


NOISE_FREE = {"fedavg20": [0.80, 0.82, 0.84], "ring": [0.50, 0.52, 0.51]}
SCALE = Scale(("fedavg20", "ring"), (8.0,), (0, 1, 2), phases=3)


def recorded(folder: Path, local: dict[str, list[Written | Fault]]) -> Comparison:
    """A study in which both noises of the nodes came to the same, and the server's to none."""
    quiet = {name: [Written([0.1, last, last]) for last in ends] for name, ends in NOISE_FREE.items()}
    noisy = {
        Arm(network, "local", kind, 8.0).name: trials
        for network, trials in local.items()
        for kind in ("nominal", "honest")
    }
    central = {Arm("fedavg20", "central", kind, 8.0).name: [Written([0.1, 0.7, 0.7])] * 3 for kind in KINDS}
    return compared(folder, {**quiet, **noisy, **central})


def test_noise_that_leaves_nothing_to_both_does_not_speak_for_gossip(tmp_path: Path) -> None:
    found = recorded(tmp_path, {name: [Written([0.1, 0.1, 0.11])] * 3 for name in NOISE_FREE})
    (robust,) = (claim for claim in claims_of(found, SCALE) if claim.text.startswith("Gossip is more robust"))
    # FedAvg has lost .71 and gossip .40
    assert [finding.verdict for finding in robust.findings] == ["at chance", "at chance"]


def test_what_noise_leaves_is_a_share_of_what_was_learned(tmp_path: Path) -> None:
    left: dict[str, list[Written | Fault]] = {
        name: [Written([0.1, 0.1 + share * (last - 0.1)]) for last, share in zip(ends, shares, strict=True)]
        for (name, ends), shares in zip(NOISE_FREE.items(), ([0.5, 0.5, 0.5], [0.75, 0.8, 0.7]), strict=True)
    }
    found = recorded(tmp_path, left)
    (robust,) = (claim for claim in claims_of(found, SCALE) if claim.text.startswith("Gossip is more robust"))
    assert robust.findings[0].difference.mean == pytest.approx(0.25)
    assert robust.findings[0].verdict == "holds"
    # and yet FedAvg under the same noise is better
    assert robust.findings[0].accuracy.mean == pytest.approx(-0.049, abs=0.02)


def test_seeds_without_a_result_are_named_where_the_others_are_summed(tmp_path: Path) -> None:
    half: list[Written | Fault] = [Written([0.1, 0.4, 0.4]), Fault("diverged", "no"), Fault("diverged", "no")]
    found = recorded(tmp_path, {"fedavg20": half, "ring": [Fault("diverged", "no")] * 3})
    text = reading(found, SCALE)
    assert "| nominal 8 | 0.400 (2 of 3 diverged) | 3 of 3 diverged |" in text
    assert "cannot be told (2 no result)" in text


@pytest.mark.slow
def test_the_reading_is_that_of_the_recorded_runs(tmp_path: Path) -> None:
    scale = dataclasses.replace(QUICK, seeds=(0, 1), phases=3)
    arms = {name: arm.as_config() for name, arm in arms_of(scale).items()}
    loaded = load(tmp_path, digits(training__phases=3, gossip__settle_rounds=0))
    wished = {"compare": {"arms": arms, "seeds": [0, 1]}, "training.phases": 3}
    found = compare(change_experiment(loaded, wished, source="test"), tmp_path / "study")
    assert not any(arm.faults for arm in found.arms)
    figures = Figures(found)
    for seed, done in figures.summary(Arm("ring")).done.items():
        assert figures.speed(Arm("ring"))[seed] == area(done.run)
        assert 0 < area(done.run) < 1
    text = reading(found, scale)
    noisy = figures.summary(Arm("ring", "local", "nominal", 8.0)).figures["epsilon"].mean
    assert noisy is not None
    assert f"({noisy:.2f})" in text
    assert text.count("FedAvg converges faster") == text.count("Gossip is more robust") == 1
    shutil.rmtree(tmp_path / "study")
