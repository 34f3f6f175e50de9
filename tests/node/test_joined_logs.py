"""The logs of two nodes joined by the name of each message."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.study import start_together

from gossipfl.studies.fleet import Fleet


@pytest.mark.slow
def test_both_ends_of_every_message_name_it_alike(begin: Begin) -> None:
    study = begin(names=("ada", "bob"))
    options = ("--log-format", "json", "--log-level", "debug")
    with Fleet([study.job(name, *options) for name in study.names], launch=forked) as fleet:
        start_together(study, fleet)
        fleet.results(timeout_s=120)
    lines = {name: lines_of(study.folder / f"{name}.log") for name in study.names}
    for sender, receiver in (("ada", "bob"), ("bob", "ada")):
        sent = {line["exchange"]: line for line in lines[sender] if line.get("message") == f"sent to {receiver}"}
        arrived = {
            line["exchange"]: line for line in lines[receiver] if line.get("message") == f"arrived from {sender}"
        }
        assert len(sent) >= 4
        assert {name.split("/")[0] for name in sent} == {sender}
        # the last may be on its way when its receiver ends
        assert len(arrived.keys() & sent.keys()) >= len(sent) - 1
        assert arrived.keys() <= sent.keys()
        for name, line in arrived.items():
            assert (line["node"], line["peer"], sent[name]["node"]) == (receiver, sender, sender)
            assert all(line[key] == sent[name][key] for key in ("round", "step", "codec", "payload_bytes"))


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line of a log, metrics among them; what libraries in C print is not ours."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
