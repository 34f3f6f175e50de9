"""A ledger that was tampered with: no node trains on it or shares what it has, and every command says so in a line."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.node.conftest import Begin
from tests.node.study import Study

from gossipfl.cli.app import main
from gossipfl.node.checking import check
from gossipfl.privacy.ledger_link import read_ledger_link
from gossipfl.privacy.publications import read_log
from gossipfl.privacy.spent import spent

QUICK = {"linger_s": 0.3, "settle_rounds": 1, "deadline_s": 1}
"""A node whose neighbor never comes."""


def less_steps(ledger: Path) -> None:
    """As who wants ε back would do it: the charges cost less than they did."""
    content = ledger.read_bytes()
    assert b'"noise_multiplier":1.0' in content
    ledger.write_bytes(content.replace(b'"noise_multiplier":1.0', b'"noise_multiplier":9.0'))


def fewer_charges(ledger: Path) -> None:
    """The last charges are gone, triggers and all."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("DROP TRIGGER entries_DELETE")
        connection.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) - 1 FROM entries)")


def other_records(ledger: Path) -> None:
    """The records are others', so that these look new."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("DROP TRIGGER records_DELETE")
        connection.execute("DELETE FROM records WHERE tag = (SELECT min(tag) FROM records)")


@pytest.fixture
def trained(begin: Begin) -> Study:
    """Ada has trained, and her ledger is whole."""
    privacy = {"level": "example", "target_epsilon": None, "noise_multiplier": 1.0, "target_delta": 1e-3}
    study = begin(names=("ada", "bob"), training={"phases": 2}, gossip=QUICK, privacy=privacy)
    assert main(["node", "--peers", str(study.peers), "--name", "ada"]) == 0
    return study


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The command's one line of error."""
    capsys.readouterr()
    assert main(arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize("tamper", [less_steps, fewer_charges, other_records])
def test_an_altered_ledger_stops_everything_in_one_line(
    trained: Study, tamper: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, state = read_ledger_link(trained.state("ada")), trained.state("ada")
    published = len(list(read_log(state / "publications.jsonl")))
    # into the file itself
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    tamper(ledger)
    node = ["node", "--peers", str(trained.peers), "--name", "ada", "--set", "training.phases=4"]
    assert "altered" in refused(node, capsys)
    assert "altered" in refused(["privacy", "spent", "--state-dir", str(state)], capsys)
    export = ["--export", str(state / "e"), "--key", str(trained.folder / "certs" / "ada.key")]
    assert "altered" in refused(["privacy", "spent", "--state-dir", str(state), *export], capsys)
    assert any("altered" in problem for problem in check(trained.peers, name="ada").problems)
    assert len(list(read_log(state / "publications.jsonl"))) == published, "nothing has left"
    assert not (state / "e").exists()


def test_a_node_does_not_share_what_its_ledger_does_not_cover(
    trained: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger was lost, or is an older copy: the checkpoint names charges that it does not hold."""
    ledger, state = read_ledger_link(trained.state("ada")), trained.state("ada")
    (before,) = spent(ledger)
    published = len(list(read_log(state / "publications.jsonl")))
    for path in ledger.parent.glob(f"{ledger.name}*"):
        path.unlink()
    error = refused(["node", "--peers", str(trained.peers), "--name", "ada", "--set", "training.phases=4"], capsys)
    assert "not covered by the data's ledger" in error
    assert f"{before.charges} charges" in error
    assert len(list(read_log(state / "publications.jsonl"))) == published


def test_an_auditor_reads_of_a_node_what_it_has_charged_and_published(
    trained: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    state, certs = trained.state("ada"), trained.folder / "certs"
    export = state / "ledger-export.json"
    assert (
        main(["privacy", "spent", "--state-dir", str(state), "--export", str(export), "--key", str(certs / "ada.key")])
        == 0
    )
    capsys.readouterr()
    assert main(["privacy", "verify", str(export), "--certificate", str(certs / "ada.pem"), "--json"]) == 0
    ledger = json.loads(capsys.readouterr().out.splitlines()[-1])
    log = ["privacy", "verify", str(state / "publications.jsonl"), "--certificate", str(certs / "ada.pem"), "--json"]
    assert main(log) == 0
    published = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (ledger["verified"], published["verified"]) == (True, True)
    assert 0 < published["epsilon"] <= ledger["epsilon"] * (1 + 1e-9)
    assert published["receivers"] == ["bob"]
    assert sum(charge["steps"] for charge in ledger["history"]) == ledger["steps"] == 4
