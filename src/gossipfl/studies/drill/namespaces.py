"""Places with a network of their own on this machine: a Linux network namespace each, joined by a `Switch`.

namespace n0: lo, net0 10.77.0.1/24 ──┐
namespace n1: lo, net0 10.77.0.2/24 ──┼── Switch, in this process
…                                   ──┘
"""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from gossipfl.errors import NetworkError
from gossipfl.studies.drill.switch import Port

TUN = Path("/dev/net/tun")
DEVICE = "net0"
MTU_BYTES = 9000
"""Fewer packets than with Ethernet's 1,500: this process carries each of them."""
_FIRST = IPv4Address("10.77.0.1")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


@dataclass(frozen=True, slots=True)
class Places:
    """Namespaces, and the devices that lead to them.

    Attributes:
        ports: for a `Switch`.
        namespaces: by name of the place.
    """

    ports: Mapping[str, Port]
    namespaces: Mapping[str, str]

    def inside(self, name: str, command: Sequence[str]) -> list[str]:
        """A command as it is run at a place; it replaces what starts it, so its process number is the same."""
        return ["ip", "netns", "exec", self.namespaces[name], *command]


def why_not() -> str | None:
    """What this machine lacks for places of their own; None when nothing."""
    if os.geteuid() != 0:
        return "namespaces need root"
    if shutil.which("ip") is None:
        return "the command ip is missing (Debian: iproute2)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} is missing"
    try:
        # root of a container may not make one all the same
        with _place("trial", f"gossipfl-{os.getpid()}-t", _FIRST):
            return None
    except NetworkError as error:
        return str(error)


@contextlib.contextmanager
def open_places(names: Sequence[str]) -> Iterator[Places]:
    """Places for as long as it is entered; whatever runs in them must have ended before.

    Raises:
        NetworkError: this machine cannot have them.
    """
    if lacks := why_not():
        raise NetworkError(f"no places with a network of their own: {lacks}")
    with contextlib.ExitStack() as stack:
        namespaces = {name: f"gossipfl-{os.getpid()}-{place}" for place, name in enumerate(names)}
        ports = {
            name: stack.enter_context(_place(name, namespaces[name], _FIRST + number))
            for number, name in enumerate(names)
        }
        yield Places(ports, namespaces)


@contextlib.contextmanager
def _place(name: str, namespace: str, address: IPv4Address) -> Iterator[Port]:
    _ip("netns", "add", namespace)
    try:
        device = _device(namespace)
        try:
            inside = ("-n", namespace)
            _ip("link", "set", namespace[-15:], "netns", namespace)
            _ip(*inside, "link", "set", namespace[-15:], "name", DEVICE, "mtu", str(MTU_BYTES))
            _ip(*inside, "addr", "add", f"{address}/24", "dev", DEVICE)
            _ip(*inside, "link", "set", DEVICE, "up")
            _ip(*inside, "link", "set", "lo", "up")
            yield Port(name, address, device)
        finally:
            os.close(device)
    finally:
        _ip("netns", "del", namespace)


def _device(namespace: str) -> int:
    """A TUN device under the end of the namespace's name, which a device's name has room for."""
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", namespace[-15:].encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(device)
        raise NetworkError(f"no TUN device: {error}") from error
    return device


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode != 0:
        raise NetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
