"""Three real nodes with noise, one behind a firewall, from nothing to an adapter that PEFT loads."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from tests.forked import forked
from tests.node.study import LABELS, Study, make_study, start_together, wait_until
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from gossipfl.cli.app import main
from gossipfl.config.loading import load_peers
from gossipfl.errors import LedgerError
from gossipfl.learning.bench import load_adapted
from gossipfl.node.asking import ask_all
from gossipfl.node.assembly import site_of
from gossipfl.node.checking import check
from gossipfl.privacy.publications import read_log, verify
from gossipfl.studies.fleet import Fleet, Job, Running, launch

KEYS = {"name", "step", "loss", "accuracy", "epsilon", "bytes_sent", "bytes_received", "rejected"}
PHASES = 30
STEPS = 2 * PHASES


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run left behind.

    Attributes:
        planned: ε of each node's plan, as `check` gave it before.
        asked: what `gossipfl status` said in mid-run.
        results: what each node printed last.
    """

    study: Study
    planned: Mapping[str, float]
    asked: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Finished:
    """A run of three; ada and bob hold equal records, cid only dials out."""
    folder = tmp_path_factory.mktemp("three") / "study"
    study = make_study(folder, tiny_model, dials_only=["cid"], same_data=["ada", "bob"], training={"phases": PHASES})
    found = check(study.peers, name=None)
    assert found.problems == []
    with Fleet([study.job(name) for name in study.names], launch=_cid_as_users_do) as fleet:
        start_together(study, fleet)
        asked = _status_when_linked(study, fleet)
        results = fleet.results(timeout_s=120)
    return Finished(study, {name: plan.epsilon for name, plan in found.plans.items()}, asked, results)


def _cid_as_users_do(job: Job, environment: Mapping[str, str]) -> Running:
    """One by `python -m gossipfl node`, imports and all; the others as everywhere in the tests."""
    return launch(job, environment) if job.name == "cid" else forked(job, environment)


def _status_when_linked(study: Study, fleet: Fleet) -> Mapping[str, Any]:
    """What was said first when cid's links were back: it was held when it had begun, and held links end."""
    asked: dict[str, Any] = {}

    def linked() -> bool:
        asked.update(_status(study))
        return bool(asked["cid"]["health"] == "linked")

    wait_until(linked, fleet, what="cid is linked")
    return asked


def _status(study: Study) -> Mapping[str, Any]:
    return {node["name"]: node for node in asyncio.run(ask_all(study.peers, name=None, environ={})).as_json()["nodes"]}


Command = Callable[..., dict[str, Any]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process; its JSON result."""

    def run(*arguments: object) -> dict[str, Any]:
        assert main([*map(str, arguments), "--json"]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result

    return run


def test_all_end_with_every_step_done(finished: Finished) -> None:
    for name, result in finished.results.items():
        assert (result["name"], result["step"], result["rejected"]) == (name, STEPS, {})
        assert result["bytes_sent"] > 0
        assert result["bytes_received"] > 0


def test_every_line_of_metrics_has_the_promised_keys_and_the_last_is_the_result(finished: Finished) -> None:
    for name, result in finished.results.items():
        rows = finished.study.rows(name)
        assert all(row.keys() >= KEYS for row in rows)
        assert rows[-1] == result


def test_they_agree_after_settling(finished: Finished) -> None:
    states = [finished.study.saved(name).state.vector for name in finished.study.names]
    mean = np.mean(states, axis=0)
    moved = np.linalg.norm(mean - _initial(finished.study))
    assert moved > 0
    for state in states:
        assert np.linalg.norm(state - mean) < 0.01 * moved


def _initial(study: Study) -> np.ndarray:
    loaded = load_peers(study.peers)
    return load_adapted(loaded.experiment.experiment, site_of(loaded, loaded.peers.nodes[0])).initial.vector


def test_epsilon_is_what_was_planned_and_never_falls(finished: Finished) -> None:
    for name, result in finished.results.items():
        spent = [row["epsilon"] for row in finished.study.rows(name)]
        assert spent == sorted(spent)
        assert result["epsilon"] == pytest.approx(finished.planned[name], rel=1e-9)
        assert result["epsilon"] <= result["target_epsilon"] == 8.0


def test_every_publication_is_signed_by_the_node(finished: Finished) -> None:
    study = finished.study
    for name in study.names:
        log = study.state(name) / "publications.jsonl"
        found = verify(log, (study.folder / "certs" / f"{name}.pem").read_bytes())
        assert found.receivers == tuple(sorted(set(study.names) - {name}))
        assert found.epsilon == pytest.approx(finished.results[name]["epsilon"])
        with pytest.raises(LedgerError, match="not signed by this key"):
            verify(log, (study.folder / "certs" / "authority.pem").read_bytes())


def test_nodes_of_equal_seed_and_data_publish_different_states(finished: Finished) -> None:
    logs = [
        [row.publication for row in read_log(finished.study.state(name) / "publications.jsonl")]
        for name in ("ada", "bob")
    ]
    # of nodes that train: when all have, they agree, on a complete graph to the last bit at times
    trained = [{each.state for each in log if each.charges < log[-1].charges} for log in logs]
    assert all(len(states) > 2 for states in trained)
    assert not trained[0] & trained[1]


def test_status_in_mid_run_told_progress_and_nothing_that_private_data_decides(finished: Finished) -> None:
    ada, bob, cid = (finished.asked[name] for name in finished.study.names)
    assert not cid["up"], "cid has no address to be asked at"
    assert cid["health"] == "linked"
    for node in (ada, bob):
        assert (node["up"], node["rejected"]) == (True, {})
        # two that are through wait in settling for the third, which takes longer to start
        assert node["state"] in {"training", "settling"}
        assert 0 < node["step"] <= STEPS
        assert 0 < node["epsilon"] <= 8.0
        assert not node.keys() & {"loss", "accuracy"}


def test_distances_are_told_while_nodes_differ_and_vanish_when_they_agree(finished: Finished) -> None:
    for name in finished.study.names:
        told = [row["distance"] for row in finished.study.rows(name) if row["distance"] is not None]
        assert told[-1] < 0.05 * max(told)


def test_privacy_spent_reads_the_ledger_beside_the_data(finished: Finished, command: Command) -> None:
    found = command("privacy", "spent", "--state-dir", finished.study.state("cid"))
    assert found["epsilon"] == pytest.approx(finished.results["cid"]["epsilon"], rel=1e-9)
    assert found["steps"] == STEPS
    assert found["ledger"].endswith("data/cid.jsonl.ledger.sqlite")


def test_the_exported_adapter_loads_with_peft_and_moves_the_model(finished: Finished, command: Command) -> None:
    output = finished.study.folder / "exported"
    assert command("export", "--state-dir", finished.study.state("ada"), "--output", output)["adapter_sha256"]
    source = load_peers(finished.study.peers).experiment.experiment.model.source
    tokens = AutoTokenizer.from_pretrained(source)("w1 w2 w3 w40", return_tensors="pt")
    tokens.pop("token_type_ids", None)
    base = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(LABELS))
    model = PeftModel.from_pretrained(base, str(output)).eval()
    with torch.no_grad():
        adapted = model(**tokens).logits
        with model.disable_adapter():
            plain = model(**tokens).logits
    assert torch.isfinite(adapted).all()
    assert not torch.equal(adapted, plain)


def test_evaluate_repeats_the_last_figures_of_the_node(finished: Finished, command: Command) -> None:
    found = command("evaluate", "--peers", finished.study.peers, "--name", "bob")
    result = finished.results["bob"]
    assert found["loss"] == pytest.approx(result["loss"], rel=1e-6)
    assert found["accuracy"] == pytest.approx(result["accuracy"])
    other = command("evaluate", "--peers", finished.study.peers, "--name", "bob", "--data", _data(finished, "cid"))
    assert other["examples"] == 50


def _data(finished: Finished, name: str) -> Path:
    return finished.study.folder / "data" / f"{name}.jsonl"


def test_inspect_shows_what_would_leave_and_what_covers_it(finished: Finished, command: Command) -> None:
    found = command("inspect", "--outgoing", "--peers", finished.study.peers, "--name", "ada")
    assert [message["to"] for message in found["messages"]] == ["bob", "cid"]
    for message in found["messages"]:
        assert message["bytes"] == 4 * message["values"]
        assert message["covered_by"].startswith(f"{STEPS} charges, ε = {finished.results['ada']['epsilon']:.3f}")


def test_a_finished_run_started_again_ends_at_once_with_the_same_result(finished: Finished, command: Command) -> None:
    started = time.monotonic()
    again = command("node", "--peers", finished.study.peers, "--name", "bob")
    # far below gossip.linger_s, which a node would wait for neighbors that are not there
    assert time.monotonic() - started < 20
    before = finished.results["bob"]
    assert (again["step"], again["loss"], again["epsilon"]) == (STEPS, before["loss"], before["epsilon"])


def test_a_state_directory_of_another_experiment_is_refused(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["node", "--peers", str(finished.study.peers), "--name", "ada", "--set", "adapter.rank=2"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "belongs to another experiment (adapter" in said
    assert said.count("\n") == 1
