"""Certificates for a trial on one machine: authority and all keys made together, which in earnest never happens.

In earnest see `issuing`: the key is made on its node and only a request leaves it.

DIR/authority.pem  authority.key  NAME.pem  NAME.key  …
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gossipfl.errors import CertificateError
from gossipfl.net.certificate_files import read_authority
from gossipfl.net.issuing import KeyPair, make_authority, make_node
from gossipfl.net.pem_files import write_certificate, write_key


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Where a node's certificate and key lie."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class TrialFiles:
    """Where everything lies: the authority's certificate, and each node's files by name."""

    authority: Path
    nodes: Mapping[str, NodeFiles]


def make_trial_certificates(folder: Path, addresses: Mapping[str, str | None]) -> TrialFiles:
    """Writes an authority (one that is there is used again) and a certificate and key for every node.

    Args:
        folder: made if need be.
        addresses: HOST:PORT by node name; None for a node that only dials out.

    Raises:
        CertificateError: a node's key is there already, or something cannot be read or written.
    """
    files = {name: NodeFiles(folder / f"{name}.pem", folder / f"{name}.key") for name in addresses}
    for node in files.values():
        if node.key.exists():
            raise CertificateError(f"{node.key}: there is a key already; move it away to make a new one")
    authority = _authority(folder)
    for name, node in files.items():
        pair = make_node(name, addresses[name], authority=authority)
        write_key(node.key, pair.key)
        write_certificate(node.certificate, pair.certificate)
    return TrialFiles(folder / "authority.pem", files)


def _authority(folder: Path) -> KeyPair:
    certificate, key = folder / "authority.pem", folder / "authority.key"
    if certificate.exists() or key.exists():
        return read_authority(certificate, key)
    pair = make_authority()
    write_key(key, pair.key)
    write_certificate(certificate, pair.certificate)
    return pair
