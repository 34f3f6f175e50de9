"""Servers on ports of loopback that nobody else has: one that finds its port taken is started again on another."""

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.addresses import LOOPBACK
from gossipfl.errors import NetworkError, TrainingError

ATTEMPTS = 5
POLL_S = 0.2
ANSWER_S = 1.0


@dataclass(frozen=True, slots=True)
class Startable:
    """A server that may be started on any port.

    Attributes:
        start: starts it there.
        log: where it writes.
    """

    start: Callable[[int], "subprocess.Popen[str]"]
    log: Path


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers, and its port."""

    child: "subprocess.Popen[str]"
    port: int


def free_ports() -> Iterator[int]:
    """Ports that were free when they were asked for, each once, without end."""
    given: set[int] = set()
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in given:
            given.add(port)
            yield port


class Opening:
    """Starts servers of one run.

    Args:
        authority: that has signed their certificates: another's server is never taken for one of them.
        ports: to be tried, each once.
        limit_s: seconds they may take.
    """

    def __init__(self, authority: Path, ports: Iterator[int], limit_s: float) -> None:
        self._trust = ssl.create_default_context(cafile=authority)
        self._ports = ports
        self._limit_s = limit_s

    def open(self, starts: Mapping[str, Startable]) -> dict[str, Served]:
        """Starts servers side by side, and waits until all answer.

        Args:
            starts: by the server's name.

        Raises:
            NetworkError: a server found every port taken.
            TrainingError: one ended, or did not answer in time.
        """
        end = time.monotonic() + self._limit_s
        begun = {name: self._start(server) for name, server in starts.items()}
        tried = {name: [served.port] for name, served in begun.items()}
        waiting = list(begun)
        while waiting:
            if time.monotonic() > end:
                log = starts[waiting[0]].log
                raise TrainingError(f"{waiting[0]} did not answer within {self._limit_s:.0f} s; see {log}")
            time.sleep(POLL_S)
            for name in waiting:
                if begun[name].child.poll() is not None:
                    _check_taken(f"{name} (see {starts[name].log})", begun[name], tried[name])
                    begun[name] = self._start(starts[name])
                    tried[name].append(begun[name].port)
            waiting = [name for name in waiting if not self._answers(begun[name].port)]
        return begun

    def _start(self, server: Startable) -> Served:
        port = next(self._ports)
        return Served(server.start(port), port)

    def _answers(self, port: int) -> bool:
        try:
            with (
                socket.create_connection((LOOPBACK, port), timeout=ANSWER_S) as plain,
                self._trust.wrap_socket(plain, server_hostname=LOOPBACK),
            ):
                return True
        except OSError:
            return False


def _check_taken(name: str, served: Served, tried: list[int]) -> None:
    """Raises unless it ended because of its port, and another may be tried."""
    if not _is_taken(served.port):
        raise TrainingError(f"{name} ended with code {served.child.returncode} before it answered")
    if len(tried) >= ATTEMPTS:
        raise NetworkError(f"{name}: ports {', '.join(map(str, tried))} of {LOOPBACK} are all taken by others")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(ANSWER_S)
        return probe.connect_ex((LOOPBACK, port)) == 0
