"""SIGTERM and Ctrl-C at inconvenient moments: in the middle of a long phase, of an evaluation, and while serving."""

import json
import os
import signal
import threading
import time

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import Study, wait_until

from gossipfl.cli.app import main
from gossipfl.learning.evaluation import Evaluation
from gossipfl.privacy.spent import spent
from gossipfl.studies.fleet import Fleet

STOP_S = 5.0


@pytest.mark.slow
def test_a_long_phase_is_dropped_and_a_serving_node_ends_both_in_time(begin: Begin) -> None:
    study = begin(
        names=("ada", "bob"), training={"phases": 1}, gossip={"linger_s": 0.5, "deadline_s": 1, "settle_rounds": 1}
    )
    long = study.job("ada", "--set", "training.local_steps=3000")
    serving = study.job("bob", "--serve")
    with Fleet([long, serving], launch=forked) as fleet:
        wait_until(lambda: _finished(study) and _charged(study), fleet, what="ada trains, bob has finished")
        took = {name: _stop(fleet, name, how) for name, how in (("ada", signal.SIGTERM), ("bob", signal.SIGINT))}
    assert {name: code for name, (code, _) in took.items()} == {"ada": 0, "bob": 130}
    assert {name: seconds for name, (_, seconds) in took.items() if seconds > STOP_S} == {}
    for name, steps in (("ada", 0), ("bob", 2)):
        assert study.saved(name).snapshot.step == steps
        assert study.rows(name)[-1]["step"] == steps
        assert "Traceback" not in (study.folder / f"{name}.log").read_text()
    assert study.rows("ada")[-1]["epsilon"] > 0, "what was charged stays charged"


@pytest.mark.slow
def test_the_last_evaluation_is_not_waited_for(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = begin(
        names=("ada", "bob"), training={"phases": 1}, gossip={"linger_s": 0.3, "deadline_s": 1, "settle_rounds": 1}
    )
    asked, release = threading.Event(), threading.Event()

    def endless(*_: object, **__: object) -> Evaluation:
        asked.set()
        assert release.wait(60)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr("gossipfl.learning.learner.evaluate", endless)
    told: list[float] = []

    def stop() -> None:
        assert asked.wait(60)
        told.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        assert main(["node", "--peers", str(study.peers), "--name", "ada", "--json"]) == 0
    finally:
        release.set()
        stopper.join()
    assert time.monotonic() - told[0] < STOP_S
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["step"] == 2
    assert result["loss"] is None


def _charged(study: Study) -> bool:
    # written after the ledger was made
    if not (study.state("ada") / "config.yaml").exists():
        return False
    ledger = study.folder / "data" / "ada.jsonl.ledger.sqlite"
    return any(account.steps > 5 for account in spent(ledger))


def _finished(study: Study) -> bool:
    """bob has come to its end, serves on, and has said how good its final state is."""
    return (study.state("bob") / "finished").exists() and study.rows("bob")[-1]["loss"] is not None


def _stop(fleet: Fleet, name: str, how: signal.Signals) -> tuple[int, float]:
    """Exit code, and seconds from the signal."""
    started = time.monotonic()
    fleet.processes[name].send_signal(how)
    return fleet.processes[name].wait(30), time.monotonic() - started
