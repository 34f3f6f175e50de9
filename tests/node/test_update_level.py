"""Two real nodes whose whole updates are noised: what is charged, stated and published, a kill included."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.forked import forked
from tests.node.study import Study, give_vectors, make_study, start_together, wait_until

from gossipfl.cli.app import main
from gossipfl.node.checking import Findings, check
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.studies.fleet import Fleet

NAMES = ("ada", "bob")
PHASES, LOCAL_STEPS = 20, 60
COMPOSED = 57.97
"""ε of 20 rounds with the noise that tutorials set for ε = 8, at δ = 1e-5."""
SECTIONS: dict[str, Any] = {
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2, "split": {"kind": "dirichlet"}},
    "training": {"phases": PHASES, "local_steps": LOCAL_STEPS, "batch_size": 64, "learning_rate": 0.01},
    "privacy": {
        "level": "update",
        "target_epsilon": None,
        "nominal_epsilon": 8.0,
        "target_delta": 1e-5,
        "max_grad_norm": 0.3,
        "accountant": "prv",
        "public_data": True,
    },
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run of two left behind, one of which was killed on its way.

    Attributes:
        killed_at: phases that bob had trained then, at least.
    """

    study: Study
    found: Findings
    killed_at: int
    results: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("update")
    study = make_study(folder / "study", folder, names=NAMES, **SECTIONS)
    give_vectors(study, own_ledgers=True)
    found = check(study.peers, name=None)
    jobs = {name: study.job(name) for name in NAMES}
    with Fleet(list(jobs.values()), launch=forked) as fleet:
        start_together(study, fleet)
        wait_until(lambda: study.phase("bob") >= 3, fleet, what="bob trains")
        fleet.kill("bob")
        killed_at = study.phase("bob")
        fleet.start(jobs["bob"])
        results = dict(fleet.results(timeout_s=90))
    return Finished(study, found, killed_at, results)


@pytest.fixture
def spent(finished: Finished, capsys: pytest.CaptureFixture[str]) -> Callable[[str], dict[str, Any]]:
    """What `gossipfl privacy spent` says of a node."""

    def read(name: str) -> dict[str, Any]:
        assert main(["privacy", "spent", "--state-dir", str(finished.study.state(name)), "--json"]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result

    return read


def test_check_states_what_is_protected_and_the_composed_epsilon(finished: Finished) -> None:
    assert finished.found.problems == []
    for plan in finished.found.plans.values():
        assert (plan.steps, plan.sample_rate) == (PHASES, 1.0)
        assert plan.epsilon == pytest.approx(COMPOSED, abs=0.005)
    notes = "\n".join(finished.found.notes)
    assert "ε protects all data of a node at once" in notes
    assert "twice as far (2C); nothing is amplified by sampling" in notes
    assert "ada: ε = 57.97 against its data being absent, 171.2 against other data" in notes


def test_a_run_pays_once_a_phase_and_states_the_composed_epsilon_everywhere(
    finished: Finished, spent: Callable[[str], dict[str, Any]]
) -> None:
    ledger, result = spent("ada"), finished.results["ada"]
    assert (ledger["charges"], ledger["steps"], ledger["level"]) == (PHASES, PHASES, "update")
    assert "clipped update of a phase" in ledger["mechanism"]
    for stated in (ledger["epsilon"], result["epsilon"], finished.study.rows("ada")[-1]["epsilon"]):
        assert stated == pytest.approx(COMPOSED, abs=0.005)
    assert result["step"] == LOCAL_STEPS * PHASES


def test_a_phase_lost_by_a_kill_is_paid_again_and_no_other(
    finished: Finished, spent: Callable[[str], dict[str, Any]]
) -> None:
    ledger, last = spent("bob"), finished.study.saved("bob").snapshot
    assert last.phase == PHASES
    # at most the phase under way and the one whose checkpoint was being written
    assert PHASES <= ledger["charges"] <= PHASES + 2
    (plan,) = {plan.noise_multiplier for plan in finished.found.plans.values()}
    assert ledger["epsilon"] == pytest.approx(epsilon([Charge(1.0, plan, ledger["charges"])], 1e-5))
    assert finished.killed_at < PHASES


def test_every_published_state_is_covered_by_a_charge_a_phase(finished: Finished) -> None:
    for name, plan in finished.found.plans.items():
        rows = finished.study.rows(name)
        assert rows[-1]["phase"] == PHASES
        for row in rows:
            assert row["epsilon"] >= epsilon([plan.charge(row["phase"])], 1e-5) - 1e-9


def test_noise_is_in_what_the_nodes_agree_on(finished: Finished) -> None:
    states = [finished.study.saved(name).state.vector for name in NAMES]
    np.testing.assert_allclose(states[0], states[1], atol=0.3)
    # 40 releases of σC = .18 a value, averaged over two nodes: about .57 a value
    start = np.sqrt(PHASES / 2) * 0.6056 * 0.3
    assert 0.5 * start < states[0].std() < 2.5 * start


def test_another_level_on_the_same_data_is_refused_by_check_and_node(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ("privacy.level=example", "privacy.nominal_epsilon=null", "privacy.noise_multiplier=1")
    found = check(finished.study.peers, name="ada", overrides=sets)
    assert any("was charged at level update" in problem for problem in found.problems)
    options = [part for each in sets for part in ("--set", each)]
    assert main(["node", "--peers", str(finished.study.peers), "--name", "ada", *options]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error


def test_inspect_says_what_covers_the_state(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--outgoing", "--peers", str(finished.study.peers), "--name", "ada", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {message["covered_by"].partition(" at")[0] for message in result["messages"]} == {"20 charges, ε = 57.973"}
