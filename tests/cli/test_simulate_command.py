"""`gossipfl simulate` as a user runs it."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.sim.averaging import averaging
from tests.sim.training import digits

from gossipfl.cli.app import main

KEYS = {"final", "virtual_s", "seconds", "node_steps_per_s", "bytes_per_node", "epsilon", "output"}
"""Fixed by the interface; more may be there."""
QUICK: dict[str, Any] = {"gossip__settle_rounds": 5, "simulation__nodes": 4}


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a refused command says."""
    assert main(["simulate", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture
def gossip(tmp_path: Path) -> Path:
    return written(tmp_path, averaging(**QUICK))


def test_the_result_is_the_last_line_and_stands_in_the_folder(
    tmp_path: Path, gossip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", str(gossip), "--output", str(tmp_path / "run"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result.keys() >= KEYS
    assert result["private"] is False
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert {"config.yaml", "versions.json", "metrics.jsonl", "nodes.jsonl", "topology.json"} <= {
        item.name for item in (tmp_path / "run").iterdir()
    }


def test_training_gives_accuracies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, digits(training__phases=1))
    assert main(["simulate", str(path), "--output", str(tmp_path / "run"), "--engine", "batched", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["final"].keys() == {"mean_accuracy", "mean_macro_f1", "worst", "mean_model", "consensus_distance"}
    assert result["engine"] == "batched"


def test_people_see_why_messages_were_dropped(tmp_path: Path, gossip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(gossip), "--output", str(tmp_path / "run"), "--set", "gossip.max_norm=0.01"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "rejected" in line)
    # 4 nodes with 2 neighbors, 5 rounds
    assert line.split() == ["rejected:", "norm", "40"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("simulation.links.bytes_per_s=0", "simulation.links.bytes_per_s: 0, should be greater than 0"),
        ("simulation.links.latency_s=-1", "simulation.links.latency_s: -1, should be greater than or equal to 0"),
        ("simulation.links.latencys=1", "unknown key, did you mean 'latency_s'"),
        ("simulation.engine=fast", "simulation.engine: 'fast' is unknown"),
        ("simulation.compute.slow={zeta: 2}", "simulation.compute.slow: 'zeta' is no node"),
        ("simulation.attackers.nodes=[zeta]", "simulation.attackers.nodes: 'zeta' is no node"),
        ("simulation.availability={kind: trace, trace: trace.jsonl}", "line 1: 'zeta' is no node of this simulation"),
        ("vectors.start=spike", "vectors.start: 'spike' is unknown"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_in_the_way(
    tmp_path: Path, gossip: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    (tmp_path / "trace.jsonl").write_text('{"node": "zeta", "from_s": 1, "until_s": 2}\n')
    assert said in mistake(capsys, gossip, "--output", tmp_path / "run", "--set", setting)
    assert main(["simulate", str(gossip), "--output", str(tmp_path / "run")]) == 0


def test_a_partition_that_never_heals_is_allowed_and_warned_of(
    tmp_path: Path, gossip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    never = "simulation.availability.partitions=[{from_s: 0.1, groups: [[n0]]}]"
    assert main(["simulate", str(gossip), "--output", str(tmp_path / "run"), "--set", never]) == 0
    assert "one never heals" in caplog.text


def test_ray_without_the_extra_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # an import of it fails, as without the package
    monkeypatch.setitem(sys.modules, "ray", None)
    path = written(tmp_path, digits())
    assert "pip install 'gossipfl[ray]'" in mistake(capsys, path, "--output", tmp_path / "run", "--engine", "ray")


def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        path = written(tmp_path, digits())
        line = mistake(capsys, path, "--output", tmp_path / "run", "--engine", "ray", "--address", address)
    assert f"no Ray cluster answers at {address!r}" in line
