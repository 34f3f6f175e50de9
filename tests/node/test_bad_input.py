"""What a user can get wrong: one line that begins with `error:`, exit code 2, no traceback, nothing trained."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.config.addresses import parse_address
from gossipfl.net.certificate_files import read_authority
from gossipfl.net.issuing import Lifetime, make_node
from gossipfl.node.checking import check

Content = dict[str, Any]
Spoil = Callable[[Study], object]


def experiment(section: str, **fields: Any) -> Spoil:
    """Changes fields of experiment.yaml."""
    return lambda study: study.edit("experiment.yaml", lambda content: content[section].update(fields))


def peers(change: Callable[[Content], object]) -> Spoil:
    """Changes peers.yaml."""
    return lambda study: study.edit("peers.yaml", change)


def wild(study: Study) -> None:
    """Random pairs with more momentum than they bear."""
    experiment("gossip", protocol="noloco", outer_momentum=0.9)(study)
    peers(lambda content: content.update(topology={"schedule": "random_matching"}))(study)


def ada(**fields: Any) -> Spoil:
    """Changes the first node of peers.yaml."""
    return peers(lambda content: content["nodes"][0].update(fields))


def data(text: str) -> Spoil:
    """Replaces ada's records."""
    return lambda study: (study.folder / "data" / "ada.jsonl").write_text(text)


def common_test(text: str | None) -> Spoil:
    """Names a common test set; `None` leaves the file away."""

    def spoil(study: Study) -> None:
        if text is not None:
            (study.folder / "common.jsonl").write_text(text)
        experiment("data", test="common.jsonl")(study)

    return spoil


def expired(study: Study) -> None:
    certs = study.folder / "certs"
    authority = read_authority(certs / "authority.pem", certs / "authority.key")
    lifetime = Lifetime.of(timedelta(days=1), datetime.now(UTC) - timedelta(days=30))
    pair = make_node("ada", "127.0.0.1:1", authority=authority, lifetime=lifetime)
    (certs / "ada.pem").write_bytes(pair.certificate)
    (certs / "ada.key").write_bytes(pair.key)


def graph(edges: str) -> Spoil:
    """Makes the topology a file of edges."""

    def spoil(study: Study) -> None:
        (study.folder / "graph.edgelist").write_text(edges)
        study.edit("peers.yaml", lambda content: content.update(topology={"kind": "graph.edgelist"}))

    return spoil


def other_authority(study: Study) -> None:
    assert main(["certs", str(study.folder / "foreign"), "--nodes", "ada"]) == 0
    for name in ("ada.pem", "ada.key"):
        shutil.copy(study.folder / "foreign" / name, study.folder / "certs" / name)


MISTAKES: dict[str, tuple[Spoil, str]] = {
    "unknown key": (experiment("training", phase=3), "did you mean 'phases'"),
    "value out of range": (experiment("training", phases=0), "training.phases"),
    "no YAML": (lambda study: study.peers.write_text("nodes: [\n"), "peers.yaml"),
    "missing experiment": (peers(lambda content: content.update(experiment="x.yaml")), "x.yaml"),
    "missing data file": (ada(data="data/nobody.jsonl"), "nobody.jsonl"),
    "no data": (peers(lambda content: content["nodes"][0].pop("data")), "no data"),
    "empty data": (data(""), "ada.jsonl"),
    "unknown label": (data('{"text": "w1", "label": "red"}\n{"text": "w2", "label": "blue"}\n'), "'blue'"),
    "text column absent": (data('{"words": "w1", "label": "red"}\n'), "'text'"),
    "data is no JSON": (data("nothing of the sort\n"), "ada.jsonl"),
    "missing test set": (common_test(None), "common.jsonl"),
    "empty test set": (common_test(""), "common.jsonl"),
    "unknown label in the test set": (common_test('{"text": "w1", "label": "blue"}\n'), "'blue'"),
    "test set without labels": (common_test('{"text": "w1"}\n'), "'label'"),
    "one record": (data('{"text": "w1", "label": "red"}\n'), "held_out"),
    "target that matches nothing": (experiment("adapter", targets=["q_porj"]), "q_porj"),
    "rank beyond the layer": (experiment("adapter", rank=99), "99"),
    "rank of a node's own": (ada(rank=2), "adapter.mixed_ranks"),
    "private pattern that matches nothing": (experiment("adapter", private=["clasifier.*"]), "classifier.weight"),
    "merge without factors": (experiment("adapter", merge="svd"), "for kind lora"),
    "turns without factors": (experiment("adapter", alternate_every=3), "for kind alternating"),
    "stabilized rank without alpha": (experiment("adapter", rank_stabilized=True), "needs alpha"),
    "unknown adapter": (experiment("adapter", kind="loar"), "'lora'"),
    "missing model": (experiment("model", source="./nowhere"), "nowhere"),
    "too long for the model": (experiment("task", max_length=4096), "4096"),
    "epsilon that no noise reaches": (
        experiment("privacy", target_epsilon=1e-6, target_delta=1e-9),
        "target_epsilon 1e-06",
    ),
    "delta too large": (experiment("privacy", target_delta=0.4), "0.4"),
    "unknown protocol": (experiment("gossip", protocol="wait_fre"), "'wait_free'"),
    "unknown codec": (experiment("gossip", codec="fp23"), "'fp32'"),
    "γ beyond 1": (experiment("gossip", codec="top_k", consensus_rate=1.5), "gossip.consensus_rate"),
    "γ of nothing": (experiment("gossip", codec="top_k", consensus_rate=0), "gossip.consensus_rate"),
    "a share of nothing": (experiment("gossip", codec="top_k", codec_share=0), "gossip.codec_share"),
    "feedback of more than there is": (experiment("gossip", codec="int8", feedback=1.1), "gossip.feedback"),
    "outer momentum without end": (experiment("gossip", protocol="noloco", outer_momentum=1), "gossip.outer_momentum"),
    "noloco with two exchanges a phase": (
        experiment("gossip", protocol="noloco", rounds_per_phase=2),
        "rounds_per_phase: 2 does not go with protocol noloco",
    ),
    "momentum that drives random pairs apart": (
        wild,
        "gossip.outer_momentum 0.9 with outer_learning_rate 0.7 drives nodes apart",
    ),
    "private records in the cache": (experiment("model", keep_below=True), "privacy.public_data true was expected"),
    "disconnected graph": (graph("ada bob\ncid dan\n"), "components"),
    "node in no edge": (graph("ada bob\n"), "cid"),
    "empty graph": (graph("# nothing\n"), "graph.edgelist"),
    "edge of a stranger": (graph("ada bob\nbob cid\ncid dan\ndan eve\n"), "eve"),
    "schedule that wait_free cannot go by": (
        peers(lambda content: content.update(topology={"schedule": "base"})),
        "set gossip.protocol sync",
    ),
    "unknown schedule": (peers(lambda content: content.update(topology={"schedule": "m:base"})), "topology.schedule"),
    "unknown graph": (peers(lambda content: content.update(topology={"kind": "rign"})), "'ring'"),
    "duplicate name": (peers(lambda content: content["nodes"].append(content["nodes"][0])), "'ada'"),
    "duplicate port": (
        peers(lambda content: content["nodes"][1].update(address=content["nodes"][0]["address"])),
        "more than one node",
    ),
    "port of no number": (ada(address="127.0.0.1:x"), "127.0.0.1:x"),
    "missing certificate": (ada(certificate="certs/nobody.pem"), "nobody.pem"),
    "certificate of another node": (ada(certificate="certs/bob.pem", key="certs/bob.key"), "bob"),
    "key of another node": (ada(key="certs/bob.key"), "key"),
    "certificate of another authority": (other_authority, "authority"),
    "expired certificate": (expired, "expired"),
    "garbage certificate": (lambda study: (study.folder / "certs" / "ada.pem").write_text("x"), "ada.pem"),
    "ledger in a file": (ada(ledger="experiment.yaml/ledger.sqlite"), "ledger"),
    "ledger that is a folder": (ada(ledger="data"), "ledger"),
    "ledger that is none": (ada(ledger="peers.yaml"), "peers.yaml"),
}
NODES_ONLY = {"ledger in a file"}
"""Seen when the ledger is made."""


@pytest.fixture
def study(begin: Begin) -> Study:
    return begin(names=("ada", "bob", "cid", "dan"), training={"phases": 1}, gossip={"linger_s": 0.5})


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_node_says_the_mistake_in_one_line_and_does_not_train(
    study: Study, mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, said = MISTAKES[mistake]
    spoil(study)
    capsys.readouterr()
    assert main(["node", "--peers", str(study.peers), "--name", "ada", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert not (study.state("ada") / "metrics.jsonl").exists()


@pytest.mark.parametrize("mistake", sorted(MISTAKES.keys() - NODES_ONLY))
def test_check_lists_the_mistake_before_anything_is_trained(study: Study, mistake: str) -> None:
    spoil, said = MISTAKES[mistake]
    spoil(study)
    problems = check(study.peers, name="ada").problems
    assert any(said in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_check_lists_all_mistakes_at_once_and_exits_with_2(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    experiment("adapter", targets=["q_porj"])(study)
    ada(certificate="certs/bob.pem", key="certs/bob.key", data="data/nobody.jsonl")(study)
    assert main(["check", "--peers", str(study.peers), "--name", "ada"]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("problem: ") == 3
    assert captured.err == f"error: 3 problems, first: {check(study.peers, name='ada').problems[0]}\n"


def test_check_ends_with_an_error_line_after_its_json(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    ada(data="data/nobody.jsonl")(study)
    assert main(["check", "--peers", str(study.peers), "--name", "ada", "--json"]) == 2
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert result["ok"] is False
    assert captured.err == f"error: 1 problem: {' '.join(result['problems'])}\n"


def test_a_sound_test_set_is_no_problem_and_needs_no_units(study: Study) -> None:
    common_test('{"text": "w1", "label": "red"}\n')(study)
    rows = [{**json.loads(line), "who": str(place)} for place, line in enumerate(lines_of(study, "ada"))]
    data("".join(json.dumps(row) + "\n" for row in rows))(study)
    experiment("data", unit="who")(study)
    assert check(study.peers, name="ada").problems == []


def test_check_says_how_many_rounds_a_phase_an_exact_schedule_wants(study: Study) -> None:
    peers(lambda content: content.update(topology={"schedule": "base", "degree": 2}))(study)
    experiment("gossip", protocol="sync", rounds_per_phase=3)(study)
    findings = check(study.peers, name="ada")
    assert findings.problems == []
    assert findings.lam == 0
    (note,) = [note for note in findings.notes if note.startswith("topology.schedule")]
    assert "the exact mean after 2 rounds, and gossip.rounds_per_phase is 3" in note
    experiment("gossip", rounds_per_phase=4)(study)
    assert not any(note.startswith("topology") for note in check(study.peers, name="ada").notes)


def lines_of(study: Study, name: str) -> list[str]:
    return (study.folder / "data" / f"{name}.jsonl").read_text().splitlines()


@pytest.fixture
def machine(study: Study) -> Study:
    """bob's machine: the records of all in one file that is split over the nodes, and of keys only bob's."""
    rows = [line for name in study.names for line in lines_of(study, name)]
    (study.folder / "all.jsonl").write_text("\n".join(rows) + "\n")
    experiment("data", source="all.jsonl")(study)
    peers(lambda content: [node.pop("data") for node in content["nodes"]])(study)
    for name in study.names:
        if name != "bob":
            (study.folder / "certs" / f"{name}.key").unlink()
            (study.folder / "certs" / f"{name}.pem").unlink()
    return study


def test_with_a_common_dataset_check_looks_for_no_certificates_of_other_machines(machine: Study) -> None:
    found = check(machine.peers, name=None)
    assert found.problems == []
    assert set(found.plans) == set(machine.names)


def test_with_a_common_dataset_check_looks_at_the_certificates_of_this_machine_or_of_the_name(machine: Study) -> None:
    assert any("ada.pem" in problem for problem in check(machine.peers, name="ada").problems)
    (machine.folder / "certs" / "bob.pem").unlink()
    assert any("bob.pem" in problem for problem in check(machine.peers, name=None).problems)
    (machine.folder / "certs" / "bob.key").unlink()
    found = check(machine.peers, name=None)
    assert found.problems == []
    assert "no node's data or key is on this machine: certificates were not checked" in found.notes


def test_check_of_a_node_nobody_knows(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--peers", str(study.peers), "--name", "adda"]) == 2
    assert "'adda'" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "adda"], "error: --name: no node is called 'adda'; did you mean 'ada'?"),
        ([], "error: which node is this?"),
        (["--name", "ada", "--set", "training.phase=3"], "did you mean 'phases'"),
        (["--name", "ada", "--set", "training"], "FIELD=VALUE was expected"),
    ],
)
def test_a_wrong_command_line_of_a_node_is_one_line(
    study: Study, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["node", "--peers", str(study.peers), *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.fixture
def taken(study: Study) -> Iterator[str]:
    """ada's address, with somebody else listening there."""
    address = check_address(study)
    host, _, port = address.rpartition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        yield address


def check_address(study: Study) -> str:
    address: str = yaml.safe_load(study.peers.read_text())["nodes"][0]["address"]
    parse_address(address)
    return address


def test_a_port_in_use_is_one_line(study: Study, taken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "--peers", str(study.peers), "--name", "ada"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {taken}: this node cannot listen there")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [["evaluate", "--name", "ada"], ["export"], ["privacy", "spent"]])
def test_a_node_that_never_ran_has_nothing_to_show(
    study: Study, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {
        "evaluate": ["--peers", str(study.peers)],
        "export": ["--state-dir", str(study.state("ada")), "--output", str(tmp_path / "out")],
        "privacy": ["--state-dir", str(study.state("ada"))],
    }[command[0]]
    assert main([*command, *where]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
