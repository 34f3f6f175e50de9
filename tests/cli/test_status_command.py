"""`gossipfl status` and a node's own metrics say the same."""

import io
import json
import math

import pytest
from rich.console import Console

from gossipfl.cli.status_text import drawn, with_set_aside
from gossipfl.core.json_text import json_text
from gossipfl.core.messages import Receipt
from gossipfl.node.network_view import view_of
from gossipfl.node.node_status import NodeStatus
from gossipfl.node.record import NodeRecord


@pytest.mark.parametrize(("spent", "said"), [(0.0, 0.0), (1.5, 1.5), (math.inf, None)])
def test_epsilon_is_the_same_in_status_and_metrics_and_null_without_privacy(spent: float, said: float | None) -> None:
    record = NodeRecord("ada", steps_planned=4, receipt=Receipt(epsilon=spent))
    status = NodeStatus("ada", record.status()).as_json()
    for figures in (status, record.as_json()):
        assert json.loads(json_text(figures))["epsilon"] == said


def test_a_node_without_privacy_is_told_from_one_that_is_silent() -> None:
    record = NodeRecord("ada", steps_planned=4, receipt=Receipt(epsilon=math.inf), state="done")
    console = Console(width=160)
    with console.capture() as capture:
        console.print(drawn(view_of([NodeStatus("ada", record.status()), NodeStatus("bob", None)], []), "peers.yaml"))
    ada, bob = (line.split() for line in capture.get().splitlines() if line.split()[:1] in (["ada"], ["bob"]))
    assert ada[:5] == ["ada", "yes", "done", "0/4", "none"]
    assert bob[:5] == ["bob", "no", "–", "–", "–"]
    assert NodeStatus("ada", record.status()).as_json()["up"] is True
    assert NodeStatus("bob", None).as_json()["up"] is False


def test_the_name_of_a_file_that_was_set_aside_stays_whole_however_long_the_reason() -> None:
    console = Console(width=70, record=True, file=io.StringIO())
    nodes = drawn(view_of([NodeStatus("a", None)], []), "peers.yaml")
    console.print(with_set_aside(nodes, {"a": {"2026-11-wards-of-the-north.jsonl": "no column of this name " * 8}}))
    assert "2026-11-wards-of-the-north.jsonl" in console.export_text()
