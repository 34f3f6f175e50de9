"""Real nodes under masks: one is killed and comes back with new keys; and what is refused before anything trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import Study, make_study, start_together, wait_until

from gossipfl.cli.app import main
from gossipfl.net.certificate_files import fingerprint
from gossipfl.net.issuing import make_self_signed
from gossipfl.node.checking import check
from gossipfl.studies.fleet import Fleet

NAMES = ("ada", "bob", "cid", "dan")
PHASES = 30
PIN = f"sha256:{7:064x}"
MASKED: dict[str, Any] = {
    "protection": {"kind": "masked"},
    "gossip": {"protocol": "sync", "settle_rounds": 12, "deadline_s": 15, "linger_s": 60},
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a run left behind in which cid was killed.

    Attributes:
        killed_at: lines of metrics that cid had written then.
        results: what each node printed last.
    """

    study: Study
    killed_at: int
    results: Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Told:
    folder = tmp_path_factory.mktemp("masked") / "study"
    training = {"phases": PHASES, "local_steps": 1, "evaluate_every": 0}
    study = make_study(folder, tiny_model, names=NAMES, dials_only=["dan"], training=training, **MASKED)
    jobs = {name: study.job(name) for name in NAMES}
    with Fleet(list(jobs.values()), launch=forked) as fleet:
        start_together(study, fleet)
        wait_until(lambda: study.phase("cid") >= 2, fleet, what="cid trains")
        fleet.kill("cid")
        killed_at = len(study.rows("cid"))
        fleet.start(jobs["cid"])
        results = fleet.results(timeout_s=120)
    return Told(study, killed_at, results)


def test_all_nodes_end_close_together(told: Told) -> None:
    vectors = np.stack([told.study.saved(name).state.vector for name in NAMES])
    assert {result["round"] for result in told.results.values()} == {PHASES + 12}
    assert np.ptp(vectors, axis=0).max() < 1e-3 * np.abs(vectors).max()


def test_every_mixing_had_all_neighbors_or_none(told: Told) -> None:
    mixings = [row for name in NAMES for row in told.study.rows(name) if row["weights"]]
    assert {len(row["absent"]) for row in mixings} <= {0, 3}
    assert all(len(row["weights"]) == (1 if row["absent"] else 4) for row in mixings)


def test_sums_come_again_once_the_killed_node_has_new_keys(told: Told) -> None:
    after = told.study.rows("cid")[told.killed_at :]
    assert after
    for name in NAMES:
        assert told.study.rows(name)[-1]["absent"] == []


def test_no_letter_was_turned_away(told: Told) -> None:
    for result in told.results.values():
        # what a cut link leaves is none
        assert not result["rejected"].keys() & {"keys", "protection", "size", "shape", "digest"}


def test_under_protection_no_node_tells_a_distance(told: Told) -> None:
    assert {row["distance"] for name in NAMES for row in told.study.rows(name)} == {None}


@pytest.fixture
def study(begin: Begin) -> Study:
    return begin(names=NAMES, training={"phases": 1}, **MASKED)


def said_of(study: Study, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line of a node that does not start."""
    capsys.readouterr()
    assert main(["node", "--peers", str(study.peers), "--name", "ada", "--json", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert not (study.state("ada") / "metrics.jsonl").exists()
    return captured.err


def test_without_certificates_nothing_runs_unless_it_is_called_a_trial(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of(study, capsys, "--insecure")
    assert said.startswith("error: protection masked with --insecure: no certificate signs the keys")
    assert "protection.unsigned_trial" in said


def test_a_node_of_two_neighbors_is_named_by_node_and_by_check(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study.edit("peers.yaml", lambda content: content.update(topology={"kind": "ring"}))
    assert "node 'ada' has 2 neighbors, at least 3 expected" in said_of(study, capsys)
    assert any("node 'ada' has 2 neighbors" in problem for problem in check(study.peers, name="ada").problems)


def test_a_pinned_network_pins_whoever_shares_a_neighbor(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    # a torus of nine: i and a share the neighbors c and g, and have no link
    names = [f"a{place}" for place in range(9)]
    own = make_self_signed("ada", None)
    (study.folder / "certs" / "ada.pem").write_bytes(own.certificate)
    (study.folder / "certs" / "ada.key").write_bytes(own.key)
    study.edit("peers.yaml", lambda content: content.pop("authority"))

    def pinned(content: dict[str, Any]) -> None:
        ada = {**content["nodes"][0], "fingerprint": fingerprint(own.certificate)}
        others = [
            {"name": name, "address": f"127.0.0.1:{1000 + place}"} | ({"fingerprint": PIN} if name != "a8" else {})
            for place, name in enumerate(names[1:])
        ]
        content.update(nodes=[ada, *others], topology={"kind": "torus", "shape": [3, 3]})

    study.edit("peers.yaml", pinned)
    said = said_of(study, capsys)
    assert said.startswith("error: nodes.a8.fingerprint: needed with protection masked, since it shares a neighbor")
