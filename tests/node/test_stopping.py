"""SIGTERM at inconvenient moments: in the middle of a long phase, and while serving after the end."""

import signal
import time

from tests.node.conftest import Begin
from tests.node.study import Study, wait_until

from gossipfl.privacy.spent import spent
from gossipfl.studies.fleet import Fleet

STOP_S = 5.0


def test_a_long_phase_is_dropped_and_a_serving_node_ends_both_in_time_with_exit_code_0(begin: Begin) -> None:
    study = begin(
        names=("ada", "bob"), training={"phases": 1}, gossip={"linger_s": 0.5, "deadline_s": 1, "settle_rounds": 1}
    )
    long = study.job("ada", "--set", "training.local_steps=3000")
    serving = study.job("bob", "--serve")
    with Fleet([long, serving]) as fleet:
        wait_until(lambda: _finished(study) and _charged(study), fleet, what="ada trains, bob has finished")
        took = {name: _stop(fleet, name) for name in study.names}
    assert {code for code, _ in took.values()} == {0}
    assert {name: seconds for name, (_, seconds) in took.items() if seconds > STOP_S} == {}
    for name, steps in (("ada", 0), ("bob", 2)):
        assert study.saved(name).snapshot.step == steps
        assert study.rows(name)[-1]["step"] == steps
        assert "Traceback" not in (study.folder / f"{name}.log").read_text()
    assert study.rows("ada")[-1]["epsilon"] > 0, "what was charged stays charged"


def _charged(study: Study) -> bool:
    # written after the ledger was made
    if not (study.state("ada") / "config.yaml").exists():
        return False
    ledger = study.folder / "data" / "ada.jsonl.ledger.sqlite"
    return any(account.steps > 5 for account in spent(ledger))


def _finished(study: Study) -> bool:
    """bob has come to its end, serves on, and has said how good its final state is."""
    return (study.state("bob") / "finished").exists() and study.rows("bob")[-1]["loss"] is not None


def _stop(fleet: Fleet, name: str) -> tuple[int, float]:
    """Exit code, and seconds from SIGTERM."""
    started = time.monotonic()
    fleet.processes[name].send_signal(signal.SIGTERM)
    return fleet.processes[name].wait(30), time.monotonic() - started
