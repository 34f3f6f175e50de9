"""Ports for nodes on this machine."""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

HOST = "127.0.0.1"
_PORTS = range(12_000, 32_000)
"""Below those that systems give to outgoing connections: one of them may be taken between the look and the use."""


def free_ports(count: int) -> list[int]:
    """Ports of this host that nobody has at the moment; which ones is chance, so that programs side by side differ."""
    found: list[int] = []
    with ExitStack() as stack:
        for port in _shuffled():
            if len(found) == count:
                return found
            probe = stack.enter_context(socket.socket())
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found.append(port)
    raise OSError(f"{count} free ports were expected on {HOST} from {_PORTS.start} to {_PORTS.stop}")


def _shuffled() -> Iterator[int]:
    """All of them, drawn as they are asked for: a few are enough, and twenty thousand take a while."""
    # no seed: two runs of one experiment may be side by side too
    draw = random.SystemRandom()
    drawn: set[int] = set()
    while len(drawn) < len(_PORTS):
        port = draw.choice(_PORTS)
        if port not in drawn:
            drawn.add(port)
            yield port
