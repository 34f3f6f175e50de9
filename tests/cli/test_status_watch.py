"""`gossipfl status --watch`: the same figures as on the dashboard, again and again, until Ctrl-C."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.node.study import Study, make_study

from gossipfl.cli.status_text import ago, curve, drawn_live, size
from gossipfl.net.reports import EdgeReport, Measured, RejectionReport, StatusDetails, StatusSnapshot
from gossipfl.node.network_view import view_of
from gossipfl.node.node_status import NodeStatus

WAIT_S = 90.0


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three nodes of whom none runs."""
    return make_study(tmp_path / "study", tmp_path / "no-model")


def watching(study: Study, *options: str, stdout: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "gossipfl", "status", "--peers", str(study.peers), "--watch", *options]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "50"}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_a_line_of_json_a_look_until_ctrl_c(study: Study) -> None:
    with watching(study, "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    for look in looks:
        assert {node["name"]: node["health"] for node in look["nodes"]} == dict.fromkeys(("ada", "bob", "cid"), "down")
        assert len(look["edges"]) == 3
        assert look["consensus_distance"] is None


@pytest.mark.slow
def test_on_a_terminal_what_was_seen_is_drawn_over_and_over(study: Study) -> None:
    ours, theirs = pty.openpty()
    with watching(study, stdout=theirs) as process:
        os.close(theirs)
        seen = b""
        # the second look goes up over the first
        while seen.count(b"consensus distance") < 2:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
    os.close(ours)
    assert b"\x1b[1A" in seen
    assert b"cid" in seen


def text_of(*nodes: NodeStatus) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(drawn_live(view_of(nodes, [("ada", "bob")]), "peers.yaml"))
    return capture.get()


def test_it_shows_progress_budget_curve_edges_and_rejections() -> None:
    history = tuple(Measured(step, 0.5, 2.0 - step / 10, step / 10, 1.5) for step in range(10))
    rejections = (RejectionReport("bob", "norm", 3, 130.0), RejectionReport("", "certificate", 1, 2.0))
    edges = {"bob": EdgeReport(True, 2_500_000, 1_250, 2, 3.0)}
    details = StatusDetails(40, 8.0, edges, rejections, history)
    ada = StatusSnapshot(
        "ada",
        9,
        epsilon=0.5,
        state="training",
        neighbors_up=1,
        neighbors=1,
        test_loss=1.1,
        test_accuracy=0.9,
        details=details,
    )
    text = text_of(NodeStatus("ada", ada), NodeStatus("bob", None))
    row = next(line for line in text.splitlines() if line.split()[:1] == ["ada"])
    for figure in ("training", "9/40", "0.5/8", "0.9", "1.1", "▁▁▁", "██", "1.5", "1/1"):
        assert figure in row
    assert "consensus distance: 1.5" in text
    edge = next(line for line in text.splitlines() if "ada – bob" in line)
    assert edge.split()[3:] == ["yes", "2.5", "MB", "1.25", "kB", "2", "3"]
    assert next(line.split() for line in text.splitlines() if "norm" in line) == [
        "ada",
        "bob",
        "norm",
        "3",
        "2",
        "min",
        "ago",
    ]
    assert "no neighbor" in text


def test_a_silent_node_is_called_what_it_is() -> None:
    text = text_of(NodeStatus("ada", None), NodeStatus("bob", None, has_address=False))
    rows = [line.split()[:3] for line in text.splitlines() if line.split()[:1] in (["ada"], ["bob"])]
    assert rows[:2] == [["ada", "down", "–"], ["bob", "unknown", "–"]]


def test_sizes_and_times_are_for_people() -> None:
    assert [size(each) for each in (None, 0, 999, 1000, 2_345_678, 7 * 10**9)] == [
        None,
        "0 B",
        "999 B",
        "1 kB",
        "2.35 MB",
        "7 GB",
    ]
    assert [ago(each) for each in (0.4, 119, 120, 7200)] == ["0 s", "119 s", "2 min", "2 h"]


def test_a_curve_goes_from_its_least_to_its_most() -> None:
    drawn = curve([Measured(step, test_accuracy=step / 100) for step in range(100)])
    assert (drawn[0], drawn[-1]) == ("▁", "█")
    assert list(drawn) == sorted(drawn)
    assert curve([Measured(1, test_loss=2.0)]) == "▁" * len(drawn)
    assert curve([Measured(1)]) == ""
