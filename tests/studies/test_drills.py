"""Drills on real nodes, what is read of what nodes write, and the proxies between them."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from gossipfl.cli.app import main
from gossipfl.studies.drill.drills import QUICK, Drilled, Outcome, Wish, hold_drills
from gossipfl.studies.drill.faults import FAULTS
from gossipfl.studies.drill.faults.fault import Fault
from gossipfl.studies.drill.ground import Ground
from gossipfl.studies.drill.proxies import Proxies
from gossipfl.studies.drill.sights import Sight
from gossipfl.studies.drill.weather import FAIR, Weather
from gossipfl.studies.free_ports import free_ports


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
    held = [each for each in passed if each is not None]
    assert drilled.faults == len(held)
    assert drilled.as_json()["not_held"] == ["kill"] * (len(passed) - len(held))


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


def nothing(_: Ground) -> None:
    """Does not strike, or does not mend."""


def after_a_while(mend: Callable[[Ground], object]) -> Callable[[Ground], None]:
    """Nodes go on before it is mended."""

    def mend_later(ground: Ground) -> None:
        assert ground.until(lambda: all(ground.progress_since_struck(name) > 10 for name in ground.names), 120)
        mend(ground)

    return mend_later


def cut_off_the_last(ground: Ground) -> None:
    ground.lines.change(Weather(cut=True), lambda sender, receiver: "n3" in {sender, receiver})


def freeze(ground: Ground) -> None:
    ground.signal("n1", signal.SIGSTOP)
    # what it had written before is not read as progress
    ground.wait(0.5)
    ground.begin()


def thaw(ground: Ground) -> None:
    ground.signal("n1", signal.SIGCONT)


def belongings(ground: Ground) -> list[Path]:
    """What n0 remembers by: its state but for the figures it has written down, and its ledger."""
    kept = [*ground.state("n0").iterdir(), *(ground.folder / "arm" / "ledgers").glob("n0*")]
    return [file for file in kept if file.name != "metrics.jsonl"]


def keep_a_copy(ground: Ground) -> None:
    ground.lines.change(FAIR)
    ground.kill("n0")
    for file in belongings(ground):
        copy = ground.folder / "copy" / file.relative_to(ground.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    ground.start("n0")
    assert ground.until(lambda: ground.progress("n0") > 10, 120)


def forget(ground: Ground) -> None:
    ground.kill("n0")
    for file in belongings(ground):
        file.unlink()
    shutil.copytree(ground.folder / "copy", ground.folder, dirs_exist_ok=True)
    rows = ground.sights["n0"].rows
    ground.start("n0")
    assert ground.until(lambda: ground.sights["n0"].rows > rows, 120)


HARMLESS = ("stop", "partition", "disk", "garbage", "certificate")
"""As they are, but they do not strike."""
BROKEN = (
    Fault("not here", "", 0.0, nothing, nothing, lacks=lambda _: "something is missing"),
    Fault("frozen", "one that should go on does not", 2.0, freeze, thaw),
    *(replace(FAULTS[name], strike=nothing, mend=after_a_while(FAULTS[name].mend), hold_s=0.0) for name in HARMLESS),
    Fault("not mended", "", 1.0, cut_off_the_last, nothing),
    Fault("forgetful", "", 0.0, keep_a_copy, forget, hurt=(0,)),
)


@pytest.mark.slow
def test_what_is_wrong_is_seen_on_real_nodes(tmp_path: Path) -> None:
    drilled = hold_drills(tmp_path / "d", Wish(BROKEN, namespaces=False, recover_s=5.0))
    outcomes = {outcome.name: outcome for outcome in drilled.drills}
    wrong = {name: "; ".join(outcome.wrong) for name, outcome in outcomes.items()}
    assert wrong["not here"] == "something is missing"
    assert "n1 did not go on meanwhile" in wrong["frozen"]
    assert "n1 went on though it was stopped" in wrong["stop"]
    assert "n0 heard the other half all the same" in wrong["partition"]
    assert "n2 went on with a full disk" in wrong["disk"] or outcomes["disk"].passed is None
    assert "n0 has rejected nothing" in wrong["garbage"]
    assert "nobody refused a certificate" in wrong["certificate"]
    assert "not as before within 5 s: n0 up" in wrong["not mended"]
    assert "ε fell" in wrong["forgetful"]
    assert "phases were lost" in wrong["forgetful"]
    assert drilled.lost > 0
    assert not any(outcome.passed for outcome in drilled.drills)


@pytest.mark.slow
def test_a_drill_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    command = ["drill", "--only", "kill", "--lines", "loopback", "--output", str(tmp_path / "d")]
    drill = subprocess.Popen([sys.executable, "-m", "gossipfl", *command])
    nodes: list[psutil.Process] = []
    while len(nodes) < 4:
        nodes = psutil.Process(drill.pid).children()
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended by itself: {drill.wait(0.1)}")
    drill.terminate()
    assert drill.wait(60) == 128 + signal.SIGTERM
    assert not any(node.is_running() for node in nodes)
    assert not (tmp_path / "d" / "arm" / "state" / "n2").is_mount()


@pytest.mark.slow
def test_real_nodes_recover_from_a_partition_on_loopback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CI runs the quick drill besides, a kill in it; in namespaces, where it can have them."""
    command = ["drill", "--only", "partition", "--lines", "loopback", "--output", str(tmp_path / "d"), "--json"]
    code = main(command)
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert code == 0, [drill["wrong"] for drill in result["drills"]]
    assert [drill["name"] for drill in result["drills"]] == ["partition"]
    assert all(drill["passed"] and drill["seconds_to_recover"] > 0 for drill in result["drills"])
    assert result["lost"] == 0
    assert result["restarts"] == 0
