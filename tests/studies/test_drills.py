"""Drills on real nodes, what is read of what nodes write, and the proxies between them."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gossipfl.cli.app import main
from gossipfl.studies.arm_files import free_ports
from gossipfl.studies.drill.drills import QUICK, Drilled, Outcome
from gossipfl.studies.drill.faults import FAULTS
from gossipfl.studies.drill.ground import Sight
from gossipfl.studies.drill.proxies import Proxies
from gossipfl.studies.drill.weather import FAIR, Weather


def row(phase: int, epsilon: float | None = 1.0, **changes: Any) -> str:
    said = {"phase": phase, "round": phase, "epsilon": epsilon, "staleness": {"n1": 2}, "rejected": {}}
    return json.dumps({**said, **changes}) + "\n"


def sight_of(tmp_path: Path, *rows: str) -> Sight:
    sight = Sight(tmp_path / "metrics.jsonl")
    for each in rows:
        with sight.path.open("a") as file:
            file.write(each)
        sight.look()
    return sight


def test_a_sight_follows_a_file_that_grows_in_pieces(tmp_path: Path) -> None:
    first, second = row(1), row(2, 1.5, rejected={"rate": 3})
    sight = sight_of(tmp_path, first + second[:20], second[20:])
    assert (sight.phase, sight.epsilon, sight.rows, sight.heard) == (2, 1.5, 2, {"n1": 2})
    assert sight.rejected == {"rate": 3}
    assert (sight.fell, sight.lost) == (0, 0)


def test_a_node_that_has_written_nothing_has_no_phase(tmp_path: Path) -> None:
    sight = Sight(tmp_path / "metrics.jsonl")
    sight.look()
    assert sight.phase == -1


@pytest.mark.parametrize(("later", "fell"), [(0.9, 1), (1.0, 0), (1.0 - 1e-12, 0), (None, 1), (2.0, 0)])
def test_an_epsilon_that_falls_is_seen(tmp_path: Path, later: float | None, fell: int) -> None:
    assert sight_of(tmp_path, row(1, 1.0), row(2, later)).fell == fell


@pytest.mark.parametrize(("after", "lost"), [(8, 0), (7, 0), (6, 0), (5, 1), (0, 6)])
def test_phases_that_are_gone_are_counted_but_for_the_one_in_flight(tmp_path: Path, after: int, lost: int) -> None:
    assert sight_of(tmp_path, row(7), row(after)).lost == lost


@pytest.mark.parametrize(
    ("passed", "all_passed"),
    [([True, True], True), ([True, False], False), ([True, None], True), ([None, None], False), ([], False)],
)
def test_drills_have_passed_when_all_that_were_held_have(
    tmp_path: Path, passed: list[bool | None], *, all_passed: bool
) -> None:
    outcomes = [Outcome("kill", "", each, 1.0) for each in passed]
    drilled = Drilled(outcomes, "loopback", 1.0, 1, 1, (1, 1), 0, tmp_path)
    assert drilled.passed is all_passed
    assert all({"name", "passed", "seconds_to_recover"} <= set(drill) for drill in drilled.as_json()["drills"])


def test_the_quick_ones_are_among_them() -> None:
    assert set(QUICK) < set(FAULTS)
    assert len(FAULTS) == 12


def test_a_fault_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["drill", "--only", "kill,plague", "--output", str(tmp_path / "d")]) == 2
    assert "'plague' is no fault; one of kill, stop" in capsys.readouterr().err
    assert main(["drill", "--lines", "pigeons", "--output", str(tmp_path / "d")]) == 2
    assert "namespaces or loopback was expected" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


class Echo(threading.Thread):
    """A server that says again what it hears."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"

    def run(self) -> None:
        """Until the server is closed."""
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            while data := peer.recv(1 << 16):
                peer.sendall(data)
            peer.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    server.start()
    yield server
    server.server.close()


def dial(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_a_proxy_carries_what_it_is_given(echo: Echo) -> None:
    with Proxies({"a": echo.address, "b": echo.address}) as proxies, dial(proxies.address("a", "b")) as line:
        sent = bytes(range(256)) * 2000
        threading.Thread(target=line.sendall, args=(sent,)).start()
        heard = b""
        while len(heard) < len(sent):
            heard += line.recv(1 << 16)
        assert heard == sent


def test_a_cut_line_holds_back_until_it_is_mended(echo: Echo) -> None:
    with Proxies({"a": echo.address, "b": echo.address}) as proxies, dial(proxies.address("a", "b")) as line:
        line.sendall(b"1")
        assert line.recv(1) == b"1"
        proxies.change(Weather(cut=True))
        line.sendall(b"2")
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(1)
        proxies.change(FAIR)
        line.settimeout(20)
        assert line.recv(1) == b"2"


def test_a_delay_is_felt_both_ways_and_a_rate_slows(echo: Echo) -> None:
    with Proxies({"a": echo.address, "b": echo.address}) as proxies, dial(proxies.address("a", "b")) as line:
        proxies.change(Weather(delay_s=0.2))
        started = time.monotonic()
        line.sendall(b"1")
        assert line.recv(1) == b"1"
        assert time.monotonic() - started >= 0.4
        proxies.change(Weather(bytes_per_s=20_000.0), lambda sender, receiver: (sender, receiver) == ("b", "a"))
        started = time.monotonic()
        line.sendall(bytes(10_000))
        heard = 0
        while heard < 10_000:
            heard += len(line.recv(1 << 16))
        assert time.monotonic() - started >= 0.45


def test_who_is_not_there_closes_the_line() -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with Proxies({"a": nobody, "b": nobody}) as proxies, dial(proxies.address("a", "b")) as line:
        assert line.recv(1) == b""


@pytest.mark.slow
def test_real_nodes_recover_from_a_partition_on_loopback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CI runs the quick drill besides, a kill in it; in namespaces, where it can have them."""
    command = ["drill", "--only", "partition", "--lines", "loopback", "--output", str(tmp_path / "d"), "--json"]
    code = main(command)
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert code == 0, result
    assert [drill["name"] for drill in result["drills"]] == ["partition"]
    assert all(drill["passed"] and drill["seconds_to_recover"] > 0 for drill in result["drills"])
    assert result["lost"] == 0
    assert result["restarts"] == 0
