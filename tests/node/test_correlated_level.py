"""Three real nodes that share noise: seeds agreed over mutual TLS, noise that cancels, ε by adversary in the ledger."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.forked import forked
from tests.node.study import Study, give_vectors, make_study, start_together

from gossipfl.cli.app import main
from gossipfl.node.checking import Findings, check
from gossipfl.privacy.gaussian import gaussian_epsilon
from gossipfl.privacy.pairs.exposure import exposure
from gossipfl.studies.fleet import Fleet

NAMES = ("ada", "bob", "cid")
PHASES, C, OWN, PAIR = 6, 0.3, 0.5, 100.0
SECTIONS: dict[str, Any] = {
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2, "split": {"kind": "dirichlet"}},
    "training": {"phases": PHASES, "local_steps": 2, "batch_size": 64, "learning_rate": 0.01},
    "privacy": {
        "level": "correlated",
        "target_epsilon": None,
        "noise_multiplier": OWN,
        "pair_noise_multiplier": PAIR,
        "target_delta": 1e-5,
        "max_grad_norm": C,
        "accountant": "prv",
        "public_data": True,
    },
    "gossip": {"protocol": "sync", "settle_rounds": 2},
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run of three left behind."""

    study: Study
    found: Findings
    results: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("correlated")
    study = make_study(folder / "study", folder, names=NAMES, **SECTIONS)
    give_vectors(study, own_ledgers=True)
    found = check(study.peers, name=None)
    with Fleet([study.job(name) for name in NAMES], launch=forked) as fleet:
        start_together(study, fleet)
        results = dict(fleet.results(timeout_s=90))
    return Finished(study, found, results)


def test_the_noise_of_every_phase_has_cancelled_at_the_other_ends(finished: Finished) -> None:
    states = np.array([finished.study.saved(name).state.vector for name in NAMES])
    # complete graph of three: every mixing gives the mean; own noise is σC/√3 a phase, and what training did is short
    assert states.std() < 2.5 * OWN * C * math.sqrt(PHASES / 3) + 0.3
    # a single edge that had not met its other end would show, by p·C/√3 in every value
    assert states.std() < 0.2 * PAIR * C / math.sqrt(3)
    np.testing.assert_allclose(states[0], states[1], atol=1e-3)


def test_what_left_a_node_was_full_of_noise_that_only_others_could_take_away(finished: Finished) -> None:
    for name in NAMES:
        turns = json.loads((finished.study.state(name) / "pair_noise.json").read_text())
        assert turns == {"phase": PHASES - 1, "again": 0}
        kept = b"".join(path.read_bytes() for path in finished.study.state(name).iterdir() if path.is_file())
        assert b"x25519" not in kept.lower()


def test_ledger_and_check_say_epsilon_by_adversary_and_the_account_has_the_strongest(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    links = {name: [other for other in NAMES if other != name] for name in NAMES}
    faced = exposure(links, "ada", own=OWN, others=OWN, pair=PAIR)
    expected = [gaussian_epsilon(math.sqrt(PHASES) / s, 1e-5) for s in (faced.outsider, faced.neighbor, OWN)]
    for name in NAMES:
        assert main(["privacy", "spent", "--state-dir", str(finished.study.state(name)), "--json"]) == 0
        spent = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert list(spent["exposed"].values()) == pytest.approx(expected)
        assert spent["epsilon"] == spent["exposed"]["all neighbors"] == finished.results[name]["epsilon"]
        assert (spent["level"], spent["charges"]) == ("correlated", PHASES)
        assert "all neighbors together" in spent["mechanism"]
    notes = "\n".join(finished.found.notes)
    assert f"ada: of this run ε = {expected[0]:.4g} for outsider, {expected[1]:.4g} for any neighbor" in notes
    assert finished.found.problems == []


def test_people_see_the_three(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "spent", "--state-dir", str(finished.study.state("ada"))]) == 0
    said = capsys.readouterr().out
    assert "outsider" in said
    assert "all neighbors" in said


def test_without_tls_nobody_knows_whom_a_secret_is_shared_with(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    study = finished.study
    arguments = ["node", "--peers", str(study.peers), "--name", "ada", "--insecure", "--state-dir"]
    assert main([*arguments, str(study.folder / "elsewhere")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("error: ")
    assert "--insecure lets anybody be one" in error[-1]


def test_nodes_of_unequal_noise_do_not_meet(finished: Finished) -> None:
    fingerprints = [json.loads((finished.study.state(name) / "fingerprint.json").read_text()) for name in NAMES]
    assert len({each["shared noise"] for each in fingerprints}) == 1
