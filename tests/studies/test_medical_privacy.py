"""The study of privacy: its arms are what they are called, and its reading says what the recorded runs say."""

import math
from pathlib import Path

import pytest
from tests.report.written_runs import Written, compared

from gossipfl.config.loading import change_experiment, load_experiment
from gossipfl.report.comparison import Comparison, Fault
from gossipfl.studies.medical_privacy import grid_of
from gossipfl.studies.medical_privacy_arms import (
    EPSILONS,
    NO_NOISE,
    NOISED,
    NOISELESS,
    RATES,
    SEARCH_SEED,
    SEEDS,
    Arm,
    arms_of,
    candidates,
    extras_of,
    tried,
)
from gossipfl.studies.medical_privacy_audits import AUDIT, Audits, audit_arms, audit_table
from gossipfl.studies.medical_privacy_reading import reading

SMALL_AUDIT = {**AUDIT, "audit.canaries": 20, "simulation.nodes": 4, "training.phases": 2}
EXPERIMENT = Path(__file__).parents[2] / "experiments" / "medical-privacy.yaml"


def test_the_grid_is_every_network_with_every_adapter_at_every_epsilon() -> None:
    assert len({arm.name for arm in arms_of()}) == 4 * 2 * 4
    assert len({arm.name for arm in extras_of()}) == 2 + 4 + 2
    assert not {arm.name for arm in arms_of()} & {arm.name for arm in extras_of()}
    assert [part.seeds for part in grid_of().parts] == [SEEDS, SEEDS[:1]]


@pytest.mark.parametrize("arm", [*arms_of(), *extras_of()], ids=lambda arm: arm.name)
def test_every_arm_is_an_experiment_of_equal_work_and_of_its_epsilon(arm: Arm) -> None:
    base, config = load_experiment(EXPERIMENT), arm.as_config()
    changes = config["set"]
    assert isinstance(changes, dict)
    made = change_experiment(base, changes, source="test").experiment
    assert (made.adapter.kind, made.training.learning_rate) == (arm.adapter, RATES[arm.adapter, arm.epsilon])
    assert made.training.total_steps == base.experiment.training.total_steps == 40
    assert len(made.task.labels) == 23
    central = made.flower.central_noise
    noised = made.privacy.target_epsilon if central is None else central.target_epsilon
    assert noised == (None if math.isinf(arm.epsilon) else arm.epsilon)
    assert (central is not None) == (arm.network == "fedavg-central")
    assert config["driver"] == (
        "fedavg" if "fedavg" in arm.network else "alone" if arm.network == "alone" else "gossip"
    )


def test_rates_were_searched_for_every_adapter_at_every_epsilon_on_a_split_of_its_own() -> None:
    assert SEARCH_SEED not in SEEDS
    assert {(arm.adapter, arm.epsilon) for arm in (*arms_of(), *extras_of())} == RATES.keys()
    assert all(rate in tried(*kind) for kind, rate in RATES.items())
    assert len(candidates()) == 3 * len(RATES)
    assert all(len(rates) == 3 for rates in (*NOISED.values(), *NOISELESS.values()))


def recorded(folder: Path) -> list[Comparison]:
    """Together a tenth better than alone at ε 3; nothing of lora; an extra that diverged."""

    def noised(*lasts: float) -> list[Written]:
        return [Written([0.1, last], epsilon=3.0, noise="local") for last in lasts]

    grid = {"ring-core-eps3": noised(0.60, 0.62, 0.64), "alone-core-eps3": noised(0.50, 0.52, 0.54)}
    extras: dict[str, list[Written | Fault]] = {"torus-core-eps3": [Fault("diverged", "no")] * 3}
    return [compared(folder / "grid", {**grid}), compared(folder / "extras", extras)]


def test_the_reading_is_that_of_the_runs(tmp_path: Path) -> None:
    text = reading(recorded(tmp_path))
    assert "| ring, core | not run | 0.620 ± 0.020 | not run | not run |" in text
    assert "| alone, core | not run | 0.520 ± 0.020 |" in text
    assert "| ring, core | – | +0.100 [+0.100, +0.100] | – | – |" in text
    assert "| torus-core-eps3 | diverged | 0.620 ± 0.020 |" in text


def full_at(_adapter: str, epsilon: float, _rate: float) -> dict[str, object]:
    return dict(NO_NOISE) if math.isinf(epsilon) else {"privacy.target_epsilon": epsilon}


def audits(refuted: float) -> Audits:
    def audit(epsilon: float, shown: float) -> dict[str, object]:
        views = [{"hops": hops, "epsilon_lower_bound": shown / (1 + hops)} for hops in (0, 1, 4)]
        return {"epsilon_claimed": None if math.isinf(epsilon) else epsilon, "views": views}

    return {("core", eps): audit(eps, 1.5 if eps == refuted else 0.6) for eps in EPSILONS}


def test_audited_bounds_stand_below_their_epsilon_and_refuted_claims_are_told() -> None:
    text = audit_table(audits(refuted=1.0))
    assert "| ε at least, by audit, as seen by | ε = 1 | ε = 3 | ε = 8 | no noise |" in text
    assert "| who sees every step, core | **1.50, refuted** | 0.60 | 0.60 | 0.60 |" in text
    assert "| a neighbor, core | 0.75 | 0.30 | 0.30 | 0.30 |" in text
    assert "| a node 4 links away, core | 0.30 | 0.12 | 0.12 | 0.12 |" in text
    assert "refuted" not in audit_table(audits(refuted=math.inf))


@pytest.mark.slow
def test_an_audit_is_of_its_arm_and_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With digits in place of definitions; what is in the folder is not audited again."""
    monkeypatch.setattr("gossipfl.studies.medical_privacy_audits.AUDIT", SMALL_AUDIT)
    loaded = load_experiment(EXPERIMENT.parent / "quick-audit.yaml")
    monkeypatch.setattr("gossipfl.studies.medical_privacy_audits.trained", full_at)
    found = audit_arms(loaded, tmp_path, ("core",))
    assert [audit["epsilon_claimed"] for audit in found.values()] == [
        *(pytest.approx(eps, rel=0.01) for eps in (1, 3, 8)),
        None,
    ]
    assert all(audit["canaries"] == 20 and audit["holds"] for audit in found.values())
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "audits").iterdir()}
    assert written.keys() == {"core-eps1.json", "core-eps3.json", "core-eps8.json", "core-epsinf.json"}
    assert audit_arms(loaded, tmp_path, ("core",)) == found
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "audits").iterdir()} == written
