"""`gossipfl check` of a trial without certificates, and of nodes that lack theirs."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.node.checking import check

Content = dict[str, Any]


@pytest.fixture
def study(begin: Begin) -> Study:
    """Without certificates."""
    found = begin(names=("ada", "bob", "cid"))
    found.edit("peers.yaml", _without)
    return found


def _without(content: Content) -> None:
    for node in content["nodes"]:
        del node["certificate"], node["key"]


def test_missing_certificates_are_named_last_and_for_a_trial_without_them_not_at_all(study: Study) -> None:
    study.edit("peers.yaml", lambda content: content["nodes"][0].update(data="data/nobody.jsonl"))
    found = check(study.peers, name="ada")
    *others, last = found.problems
    assert "data/nobody.jsonl" in others[0]
    assert last.startswith("nodes.ada.certificate: a PEM file is needed")
    assert found.memory is not None
    assert check(study.peers, name="ada", insecure=True).problems == others


def test_a_trial_without_certificates_is_checked_whole(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--peers", str(study.peers), "--insecure", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["epsilon"]) == set(study.names)
    assert result["memory"]["total"] > 0
    assert any(note.startswith("--insecure: ") for note in result["notes"])


def _correlated(study: Study) -> None:
    privacy = {"level": "correlated", "noise_multiplier": 1.0, "pair_noise_multiplier": 2.0, "target_delta": 1e-5}
    study.edit("experiment.yaml", lambda content: content.update(privacy=privacy))
    study.edit("experiment.yaml", lambda content: content["gossip"].update(protocol="sync"))


def _masked(study: Study) -> None:
    study.edit("experiment.yaml", lambda content: content.setdefault("protection", {}).update(kind="masked"))
    study.edit("experiment.yaml", lambda content: content["gossip"].update(protocol="sync"))


def _dynamic(study: Study) -> None:
    study.edit("peers.yaml", lambda content: content.update(membership="dynamic", authority="certs/authority.pem"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_correlated, "--insecure lets anybody be one"),
        (_masked, "protection masked with --insecure"),
        (_dynamic, "--insecure: membership dynamic"),
    ],
)
def test_what_such_a_node_would_refuse_is_a_problem(study: Study, change: Callable[[Study], None], said: str) -> None:
    change(study)
    assert any(said in problem for problem in check(study.peers, name="ada", insecure=True).problems)
    assert not any(said in problem for problem in check(study.peers, name="ada").problems)
