"""What survives from one life of a node to the next, and what two nodes never share."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.config.loading import load_peers
from gossipfl.learning.bench import build_learner
from gossipfl.learning.books import RunTerms, Streams
from gossipfl.node.assembly import site_of
from gossipfl.node.checking import check
from gossipfl.privacy.publications import read_log

QUICK = {"linger_s": 0.3, "settle_rounds": 1, "deadline_s": 1}
"""A node whose neighbor never comes."""
Node = Callable[..., dict[str, Any]]


@pytest.fixture
def study(begin: Begin) -> Study:
    return begin(names=("ada", "bob"), same_data=("ada", "bob"), training={"phases": 3}, gossip=QUICK)


@pytest.fixture
def node(study: Study, capsys: pytest.CaptureFixture[str]) -> Node:
    """Runs ada in this process; its result."""

    def run(*extra: str) -> dict[str, Any]:
        assert main(["node", "--peers", str(study.peers), "--name", "ada", "--json", *extra]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result

    return run


def increments(study: Study, streams: Streams, folder: Path) -> Sequence[np.ndarray[Any, Any]]:
    """What the first phase changes at each node, with every record in every batch: only the noise can differ."""
    loaded = load_peers(study.peers, ["training.batch_size=1000"])
    found = []
    for node in loaded.peers.nodes:
        terms = RunTerms("run", str(folder / f"{node.name}-{streams}.sqlite"), streams=streams)
        bench = build_learner(loaded.experiment.experiment, site_of(loaded, node), terms)
        initial = bench.adapted.initial
        found.append((bench.learner.train(initial, first_step=0, steps=2).state - initial).vector)
        bench.close()
    return found


def test_nodes_of_equal_seed_and_data_draw_different_noise_and_a_node_never_the_same_twice(
    study: Study, tmp_path: Path
) -> None:
    ada, bob = increments(study, "secret", tmp_path / "first")
    again, _ = increments(study, "secret", tmp_path / "second")
    for one, other in ((ada, bob), (ada, again)):
        assert np.linalg.norm(one) > 0
        # independent noise: no closer to each other than to anything else
        assert abs(one @ other) < 0.5 * np.linalg.norm(one) * np.linalg.norm(other)


def test_the_noise_of_a_real_node_is_not_the_one_of_its_seed(study: Study, tmp_path: Path) -> None:
    seeded, _ = increments(study, "seeded", tmp_path / "first")
    repeated, _ = increments(study, "seeded", tmp_path / "second")
    secret, _ = increments(study, "secret", tmp_path / "third")
    assert np.array_equal(seeded, repeated)
    assert not np.array_equal(seeded, secret)


def test_removing_the_state_directory_does_not_lower_epsilon(study: Study, node: Node) -> None:
    first = node()
    assert first["step"] == 6
    shutil.rmtree(study.state("ada"))
    second = node()
    assert second["epsilon"] == first["epsilon"] > 0
    # the budget is spent: it trains no more, and goes on publishing and mixing
    assert second["step"] == 0
    receivers = [row.publication.receiver for row in read_log(study.state("ada") / "publications.jsonl")]
    assert set(receivers) == {"bob"}


def test_check_says_before_that_a_budget_is_spent(study: Study, node: Node) -> None:
    node()
    assert check(study.peers, name="ada").plans.keys() == {"ada"}, "this very run may be resumed"
    shutil.rmtree(study.state("ada"))
    found = check(study.peers, name="ada")
    assert found.problems == []
    assert any("already spent" in note and "not train" in note for note in found.notes)


@pytest.mark.slow
def test_a_higher_target_is_what_trains_on_spent_data(study: Study, node: Node) -> None:
    first = node()
    shutil.rmtree(study.state("ada"))
    second = node("--set", "privacy.target_epsilon=12")
    assert second["step"] == 6
    assert first["epsilon"] < second["epsilon"] <= 12


@pytest.mark.slow
def test_a_higher_target_lets_a_spent_node_train_on_from_where_it_was(
    study: Study, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    assert node()["step"] == 6
    longer = ("--set", "training.phases=9")
    spent = node(*longer)
    assert 6 <= spent["step"] < 18, "the budget ended training before its time"
    assert study.saved("ada").snapshot.exhausted
    assert "the privacy budget is spent" in caplog.text
    assert node(*longer, "--set", "privacy.target_epsilon=100")["step"] > spent["step"]
    assert study.saved("ada").snapshot.phase == 9


@pytest.mark.parametrize("protocol", ["wait_free", "sync"])
@pytest.mark.parametrize("lost", ["ledger", "noise"])
@pytest.mark.slow
def test_training_that_the_ledger_does_not_cover_never_leaves_under_its_epsilon(
    study: Study, node: Node, capsys: pytest.CaptureFixture[str], protocol: str, lost: str
) -> None:
    choice = ("--set", f"gossip.protocol={protocol}")
    unprotected = ("--set", "privacy.level=none", "--set", "privacy.target_epsilon=null")
    node(*choice, *(unprotected if lost == "noise" else ()))
    for path in (study.folder / "data").glob("ada.jsonl.ledger.sqlite*"):
        path.unlink()
    published = (study.state("ada") / "publications.jsonl").read_bytes()
    longer = ("--set", "training.phases=5")
    assert main(["node", "--peers", str(study.peers), "--name", "ada", *choice, *longer]) == 2
    assert "not covered by the data's ledger" in capsys.readouterr().err
    assert (study.state("ada") / "publications.jsonl").read_bytes() == published


@pytest.mark.slow
def test_another_optimizer_is_refused_before_anything_is_charged(
    study: Study, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    first = node("--set", "training.optimizer=adam")
    change = ("--set", "training.optimizer=sgd", "--set", "training.phases=9", "--set", "privacy.target_epsilon=50")
    assert main(["node", "--peers", str(study.peers), "--name", "ada", *change]) == 2
    assert "training.optimizer" in capsys.readouterr().err
    again = node("--set", "training.optimizer=adam")
    assert again["epsilon"] == first["epsilon"]


@pytest.mark.slow
def test_a_new_account_needs_a_reason_and_starts_at_zero(study: Study, node: Node) -> None:
    first = node()
    shutil.rmtree(study.state("ada"))
    assert main(["node", "--peers", str(study.peers), "--name", "ada", "--new-account", " "]) == 2
    again = node("--new-account", "these records were made public")
    assert again["step"] == 6
    assert again["epsilon"] == pytest.approx(first["epsilon"], rel=1e-6)


def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before(
    study: Study, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    first = node()
    newest = max(study.state("ada").glob("checkpoint-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-7])
    again = node()
    assert f"corrupt checkpoint {newest}" in caplog.text
    assert again["step"] == first["step"]
    assert again["epsilon"] == first["epsilon"]


def test_no_intact_checkpoint_is_one_line_and_exit_code_2(
    study: Study, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node()
    for path in study.state("ada").glob("checkpoint-*.safetensors"):
        path.write_bytes(b"rotten")
    assert main(["node", "--peers", str(study.peers), "--name", "ada"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "none is intact" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_more_phases_make_a_finished_run_go_on(node: Node) -> None:
    node("--set", "privacy.target_epsilon=20")
    more = node("--set", "privacy.target_epsilon=20", "--set", "training.phases=4", "--set", "gossip.settle_rounds=2")
    assert more["step"] >= 6
    assert more["epsilon"] <= 20
