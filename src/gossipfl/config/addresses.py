"""HOST:PORT as users write it, and which hosts this machine is.

127.0.0.1:7001   [::1]:7001   node-a.example.org:7001
"""

import ipaddress
import re
import socket
from dataclasses import dataclass

import psutil

LOOPBACK = "127.0.0.1"
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node listens or is dialed.

    Attributes:
        host: lower-case name or IP address without brackets; every loopback spelling is `127.0.0.1`.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """The parts of HOST:PORT.

    Raises:
        ValueError: not such an address; the message says what was expected.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is no HOST:PORT with a port from 1 to 65535")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not _is_host(bare) or (":" in bare and bare == host):
        raise ValueError(f"{text!r}: {host!r} is neither a host name nor an IP address (IPv6 in brackets)")
    return Address(canonical_host(bare), int(port))


def canonical_host(host: str) -> str:
    """One spelling for each host: lower case, loopback as 127.0.0.1."""
    lowered = host.lower().rstrip(".")
    ip = _ip(lowered)
    if lowered == "localhost" or (ip is not None and ip.is_loopback):
        return LOOPBACK
    return lowered if ip is None else str(ip)


def own_hosts() -> frozenset[str]:
    """Every name and IP address of this machine's own, in canonical spelling; loopback is among them."""
    ips = [item.address for items in psutil.net_if_addrs().values() for item in items]
    found = {str(ip) for text in ips if (ip := _ip(text.split("%")[0])) is not None and not ip.is_loopback}
    return frozenset({LOOPBACK, socket.gethostname().lower(), socket.getfqdn().lower(), *found})


def _is_host(host: str) -> bool:
    if _ip(host) is not None:
        return True
    labels = host.rstrip(".").split(".")
    # four numbers that are no IP address are a typing error, not a name
    return all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit() and len(host) <= 253


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
