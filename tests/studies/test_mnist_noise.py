"""Experiment 1: its arms are what they are called, and its reading says what the recorded runs say."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from tests.sim.training import digits, load

from gossipfl.config.loading import change_experiment, load_experiment
from gossipfl.report.statistics import Difference
from gossipfl.studies.compare import compare
from gossipfl.studies.mnist_noise_arms import FULL, QUICK, Arm, arms_of
from gossipfl.studies.mnist_noise_claims import Figures, _said, area, reading

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
        (Difference(None, None, None, 0), "not shown"),
    ],
)
def test_a_claim_holds_only_where_its_interval_says_so(difference: Difference, said: str) -> None:
    assert _said(difference) == said


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
    assert f"| nominal 8 | {noisy:.2f} |" in text
    assert text.count("FedAvg converges faster") == text.count("Gossip is more robust") == 1
    shutil.rmtree(tmp_path / "study")
