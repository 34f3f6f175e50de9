"""Four real nodes in network namespaces; two of them cannot be called, and reach each other all the same."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.node.study import Study, make_study, wait_until

from gossipfl.config.loading import load_peers
from gossipfl.errors import TopologyError
from gossipfl.node.checking import check
from gossipfl.node.schedules import schedule_of
from gossipfl.studies.drill.namespaces import Places, open_places, why_not
from gossipfl.studies.drill.switch import Switch
from gossipfl.studies.drill.weather import Weather
from gossipfl.studies.fleet import Fleet, launch
from gossipfl.studies.forked import Launch

NAMES = ("ada", "bob", "cid", "dan")
HIDDEN = ("cid", "dan")
PORT = 7000


def behind(study: Study, *hidden: str, topology: str = "complete") -> None:
    """Takes the addresses of these nodes out of peers.yaml."""

    def change(content: dict[str, Any]) -> None:
        content["topology"] = {"kind": topology}
        for node in content["nodes"]:
            if node["name"] in hidden:
                node.pop("address", None)

    study.edit("peers.yaml", change)


@pytest.fixture
def study(tmp_path: Path, tiny_model: Path) -> Study:
    return make_study(tmp_path / "study", tiny_model, names=NAMES, gossip={"deadline_s": 60, "settle_rounds": 4})


def test_neighbors_that_nobody_can_join_are_refused_before_a_run(study: Study) -> None:
    # ada - bob - cid - dan - ada: nobody is a neighbor of both bob and cid
    behind(study, "bob", "cid", topology="ring")
    with pytest.raises(TopologyError, match="'bob' and 'cid' are neighbors and both only dial out"):
        schedule_of(load_peers(study.peers))
    assert any("both only dial out" in problem for problem in check(study.peers, name=None).problems)


def test_a_common_neighbor_that_can_be_dialed_is_enough(study: Study) -> None:
    behind(study, "bob", "cid")
    assert check(study.peers, name=None).problems == []


@dataclass(frozen=True, slots=True)
class Finished:
    """What four nodes left behind.

    Attributes:
        called: what came of calling each hidden node from outside, while it ran.
    """

    study: Study
    results: Mapping[str, dict[str, Any]]
    called: Mapping[str, str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Finished:
    if lacks := why_not():
        pytest.skip(lacks)
    study = make_study(
        tmp_path_factory.mktemp("walls") / "study", tiny_model, names=NAMES, training={"phases": 6, "evaluate_every": 0}
    )
    behind(study, *HIDDEN)
    with open_places(NAMES) as places, Switch(places.ports) as switch:
        _move(study, places)
        switch.change(Weather(closed=True), lambda _, receiver: receiver in HIDDEN)
        with Fleet([study.job(name) for name in NAMES], launch=_launcher(places)) as fleet:
            wait_until(lambda: min(study.phase(name) for name in NAMES) >= 1, fleet, what="all train")
            called = {name: _call(places, name) for name in HIDDEN}
            results = fleet.results(timeout_s=180)
    return Finished(study, results, called)


def _move(study: Study, places: Places) -> None:
    def change(content: dict[str, Any]) -> None:
        for node in content["nodes"]:
            if "address" in node:
                node["address"] = f"{places.ports[node['name']].address}:{PORT}"

    study.edit("peers.yaml", change)


def _launcher(places: Places) -> Launch:
    return lambda job, environment: launch(job, environment, through=partial(places.inside, job.name))


def _call(places: Places, name: str) -> str:
    """Calls a port at a place that something listens on, from ada's."""
    listen = (
        f"import socket, time; s = socket.create_server(('0.0.0.0', {PORT + 1})); print(1, flush=True); time.sleep(99)"
    )
    server = subprocess.Popen(places.inside(name, [sys.executable, "-c", listen]), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        dial = f"import socket; socket.create_connection(({str(places.ports[name].address)!r}, {PORT + 1}), timeout=1)"
        command = places.inside("ada", [sys.executable, "-c", dial])
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.stderr.strip().splitlines()[-1] if done.returncode else "connected"
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_nobody_can_call_a_hidden_node(finished: Finished) -> None:
    assert finished.called == dict.fromkeys(HIDDEN, "TimeoutError: timed out")


@pytest.mark.slow
def test_all_have_averaged_with_all(finished: Finished) -> None:
    for name in NAMES:
        assert finished.results[name]["step"] == 12
        assert finished.results[name]["rejected"].get("timeout", 0) == 0
    states = [finished.study.saved(name).snapshot.state.vector for name in NAMES]
    # a complete graph agrees after one round in which all have heard all; on a busy machine the last come late
    for state in states[1:]:
        assert state == pytest.approx(states[0], abs=1e-5)


@pytest.mark.slow
def test_the_two_hidden_ones_have_a_link_through_one_of_the_others(finished: Finished) -> None:
    logs = {name: finished.study.job(name).log.read_text() for name in NAMES}
    assert any(re.search("tunnel between (cid and dan|dan and cid) is open", logs[name]) for name in ("ada", "bob"))
    assert "dan link up" in logs["cid"]
