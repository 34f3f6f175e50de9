"""Nodes as command lines name them, checked before anything is made of them: `--nodes a,b,c`, `--name a`, `--host`."""

from pydantic import TypeAdapter, ValidationError

from gossipfl.config.addresses import parse_address
from gossipfl.config.peers import NodeName
from gossipfl.errors import CertificateError, ConfigError

AUTHORITY = "authority"
_NODE_NAME: TypeAdapter[str] = TypeAdapter(NodeName)


def node_names(text: str) -> list[str]:
    """The names in A,B,… of `--nodes`.

    Raises:
        UserError: one of them is no node name, or is given twice.
    """
    names = [node_name(name.strip()) for name in text.split(",")]
    if len(set(names)) < len(names):
        raise ConfigError(f"--nodes: a name is given twice in {text!r}")
    return names


def node_name(name: str) -> str:
    """The name itself; it becomes a file's name and stands in a certificate.

    Raises:
        UserError: it cannot be a node's.
    """
    try:
        _NODE_NAME.validate_python(name)
    except ValidationError:
        message = f"node name {name!r}: letters, digits and inner hyphens, at most 63, were expected"
        raise ConfigError(message) from None
    if name == AUTHORITY:
        raise CertificateError(f"a node cannot be called {AUTHORITY!r}: its files would be the authority's")
    return name


def checked_address(address: str, *, option: str) -> str:
    """The HOST:PORT itself.

    Raises:
        ConfigError: it is none; the message names the option.
    """
    try:
        parse_address(address)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error
    return address
