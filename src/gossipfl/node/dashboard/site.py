"""Where the page is served, and to whom: this machine's users, or whoever has the token.

loopback          no token needed; by names of this machine only, so that no other site's name leads here
anywhere else     a token, and TLS with the node's own certificate, unless the nodes run without TLS
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from gossipfl.config.addresses import LOOPBACK, canonical_host
from gossipfl.errors import ConfigError, NetworkError

TOKEN_VARIABLE = "GOSSIPFL_DASHBOARD_TOKEN"  # noqa: S105  # its name
SHORTEST_TOKEN = 16
LONGEST_TOKEN = 512


@dataclass(frozen=True, slots=True)
class Site:
    """An address to serve at.

    Attributes:
        host: to bind.
        port: 0: any that is free.
        token: who shows it may look; None: whoever reaches the port.
        certificate, key: PEM files; None: no TLS.
    """

    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Only this machine reaches it."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """Of its URL."""
        return "https" if self.certificate is not None else "http"

    def secured(self, certificate: Path, key: Path) -> "Site":
        """The same over TLS."""
        return replace(self, certificate=certificate, key=key)

    def listen(self) -> socket.socket:
        """The port, open.

        Raises:
            NetworkError: it is in use, or not this machine's.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family)
        except (OSError, OverflowError) as error:
            where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
            raise NetworkError(
                f"the dashboard cannot listen on {where}: port in use, or not this machine's ({error})"
            ) from error


def is_loopback(host: str) -> bool:
    """Whether a host reaches this machine only; a name that is not `localhost` may be anything."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare.lower() == "localhost"


def site_at(host: str, port: int, token: str | None) -> Site:
    """The site of an address, TLS aside.

    Raises:
        ConfigError: it is not on loopback and there is no token.
    """
    bare = host.strip("[]")
    if not is_loopback(bare) and token is None:
        raise ConfigError(
            f"the dashboard on {host} could be read by whoever reaches that port: it needs a token, in a file "
            f"(--token-file, `openssl rand -hex 24` makes a good one) or in {TOKEN_VARIABLE}; or leave it on {LOOPBACK}"
        )
    return Site(canonical_host(bare) if bare.lower() == "localhost" else bare, port, token)


def parse_place(text: str) -> tuple[str, int]:
    """Host and port of `[HOST:]PORT`; the host is loopback where none is given.

    Raises:
        ConfigError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--dashboard: {text!r} is no [HOST:]PORT with a port from 0 to 65535")
    return host or LOOPBACK, int(port)


def read_token(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The token of a file, else of the environment; None where there is neither.

    Raises:
        ConfigError: the file cannot be read, or the token is too short to keep anybody out.
    """
    if file is not None:
        try:
            token, source = file.read_text(encoding="ascii").strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {file} cannot be read: {error}") from error
    else:
        token, source = environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE
        if not token:
            return None
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ConfigError(
            f"{source}: a token of {SHORTEST_TOKEN} to {LONGEST_TOKEN} printable ASCII characters was expected"
        )
    return token


def require_dashboard() -> None:
    """Raises `ConfigError` where the extra is not installed."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise ConfigError(
            "the dashboard needs starlette and uvicorn: scripts/install dashboard, or gossipfl[dashboard]"
        )
