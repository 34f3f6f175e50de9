"""What ends a deployment's run, and what does not."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipfl.baseline.processes import Family, family
from gossipfl.baseline.watch import Process, Wards, Watch, told_lines
from gossipfl.errors import TrainingError

LONG_S = 1000.0
CARELESS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
print(child.pid, flush=True)
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
print("ended, and nobody has asked how", flush=True)
time.sleep(1000)
"""
"""A parent as Flower's superexec is one."""


@pytest.fixture
def members() -> Iterator[Family]:
    with family({}) as members:
        yield members


class Site:
    """A superlink and two clients that only sleep."""

    def __init__(self, members: Family, folder: Path) -> None:
        self.members, self.folder = members, folder
        self.superlink, self.gone = self.sleeper(), list[str]()
        self.clients = {"n0": self.sleeper(), "n1": self.sleeper()}

    def sleeper(self) -> Process:
        return self.members.start([sys.executable, "-c", "import time; time.sleep(1000)"], self.folder / "log")

    def watch(self, limit_s: float = LONG_S) -> Watch:
        wards = Wards(self.superlink, self.clients, lambda name: self.folder / f"flower-{name}.log")
        return Watch(wards, self.gone.append, limit_s)


@pytest.fixture
def site(members: Family, tmp_path: Path) -> Site:
    return Site(members, tmp_path)


def killed(process: Process) -> None:
    process.kill()
    process.wait()


def test_as_long_as_all_live_nothing_is_wrong(site: Site) -> None:
    assert site.watch().trouble() is None


def test_without_the_superlink_there_is_nothing(site: Site) -> None:
    watch = site.watch()
    killed(site.superlink)
    assert watch.trouble() == f"flower-superlink ended with code -9; see {site.folder}/flower-superlink.log"


def test_a_client_that_dies_before_the_first_round_ends_the_run(site: Site) -> None:
    watch = site.watch()
    killed(site.clients["n1"])
    for _ in range(2):
        assert "client n1: flower-supernode ended with code -9 before the first round" in str(watch.trouble())
    assert not site.gone


def test_whether_rounds_had_begun_is_decided_when_all_that_was_said_has_been_read(site: Site) -> None:
    watch = site.watch()
    killed(site.clients["n1"])
    assert watch.trouble()
    watch.running()
    assert watch.trouble() is None
    assert site.gone == ["n1"]


def test_later_the_others_go_on_without_it_and_flower_is_told_once(site: Site) -> None:
    watch = site.watch()
    watch.running()
    killed(site.clients["n1"])
    assert [watch.trouble(), watch.trouble()] == [None, None]
    assert site.gone == ["n1"]


def test_with_the_last_client_the_run_ends(site: Site) -> None:
    watch = site.watch()
    watch.running()
    for process in site.clients.values():
        killed(process)
    assert "client n1: flower-supernode ended with code -9, and it was the last one" in str(watch.trouble())


def test_a_server_that_is_gone_is_missed(site: Site) -> None:
    watch, server = site.watch(), site.sleeper()
    watch.begun(server.pid)
    assert watch.trouble() is None
    killed(server)
    assert "Flower's server ended without a result" in str(watch.trouble())


def test_a_server_whose_parent_does_not_ask_how_it_ended_is_missed(site: Site) -> None:
    watch, parent = site.watch(), site.members.start([sys.executable, "-c", CARELESS], site.folder / "log", piped=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    watch.begun(server)
    assert watch.trouble() is None
    os.kill(server, signal.SIGKILL)
    assert parent.stdout.readline()
    assert "Flower's server ended without a result" in str(watch.trouble())


def test_a_server_that_is_gone_before_it_is_looked_at_is_missed(site: Site) -> None:
    watch, server = site.watch(), site.sleeper()
    killed(server)
    watch.begun(server.pid)
    assert "Flower's server ended without a result" in str(watch.trouble())


def test_silence_has_its_limit(site: Site) -> None:
    assert "nothing from Flower's server for 0 s" in str(site.watch(0.0).trouble())


def test_what_was_said_before_the_end_is_read_before_the_end_is_told(site: Site, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.write_text("one\ntwo\nhal")
    lines = told_lines(told, site.watch())
    assert [next(lines), next(lines)] == ["one", "two"]
    with told.open("a") as file:
        file.write("f\n")
    killed(site.superlink)
    assert next(lines) == "half"
    with pytest.raises(TrainingError, match="flower-superlink ended"):
        next(lines)
