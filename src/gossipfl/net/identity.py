"""Who this node is on the network, and by what it knows the others.

authority   one signs all certificates: whoever it signed is who the certificate says
pinned      `fingerprint` of every node in peers.yaml: certificates vouch for themselves
insecure    nothing: names are believed, everybody on the path can read and forge
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.errors import CertificateError
from gossipfl.net.certificate_files import (
    check_certificate,
    check_validity,
    is_issued_by,
    is_self_signed,
    read_certificate,
    read_pair,
)
from gossipfl.net.revocations import NOTHING_REVOKED, Revocations, read_revocations

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's name, key and trust.

    Attributes:
        name: the node's.
        certificate: own, PEM; empty when insecure.
        key: own private key, PEM; empty when insecure, left out of the representation.
        authority: PEM of the authority; None when certificates are pinned.
        pins: fingerprint by node name; with an authority as well, both must hold.
        certificates: PEM of others' certificates that lie on this machine, by node name.
        insecure: no TLS at all.
        revoked: certificates that the authority has taken back.
    """

    name: str
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    authority: bytes | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    insecure: bool = False
    revoked: Revocations = NOTHING_REVOKED


def load_identity(
    peers: Peers,
    folder: Path,
    node: NodeConfig,
    *,
    neighbors: Collection[str] | None = None,
    insecure: bool = False,
) -> Identity:
    """What peers.yaml and the files it names say about this node and the others.

    Args:
        peers: who takes part.
        folder: what the paths in peers.yaml are relative to.
        node: this node.
        neighbors: names of those it must be able to recognize; default: all.
        insecure: plaintext on purpose; said loudly.

    Raises:
        CertificateError: a file is missing, unreadable, expired, revoked, of another node or another authority, a key
            does not fit, a fingerprint differs, or nothing says how a neighbor is recognized.
    """
    if insecure:
        logger.warning(
            "INSECURE: %s runs without TLS: anybody on the network can read, forge and change messages", node.name
        )
        return Identity(node.name, insecure=True)
    pair = read_pair(
        _path(folder, node.certificate, f"nodes.{node.name}.certificate"),
        _path(folder, node.key, f"nodes.{node.name}.key"),
        name=node.name,
        field=f"nodes.{node.name}.certificate",
    )
    others = [other for other in peers.nodes if other.name != node.name]
    identity = Identity(
        node.name,
        pair.certificate,
        pair.key,
        authority=_authority(peers, folder),
        pins={other.name: other.fingerprint for other in peers.nodes if other.fingerprint},
        certificates=_certificates_here(others, folder),
        revoked=_revoked(peers, folder),
    )
    _check_self(identity)
    for other in others:
        if neighbors is None or other.name in neighbors:
            _check_recognizable(identity, other)
    return identity


def _path(folder: Path, written: str | None, field_name: str) -> Path:
    if not written:
        raise CertificateError(f"{field_name}: a PEM file is needed (gossipfl certs makes one), or run with --insecure")
    return folder / written


def _authority(peers: Peers, folder: Path) -> bytes | None:
    if peers.authority is None:
        return None
    path = folder / peers.authority
    pem = read_certificate(path, field="authority")
    check_validity(pem, what=str(path))
    return pem


def _revoked(peers: Peers, folder: Path) -> Revocations:
    authority = _authority(peers, folder)
    if peers.revoked is None or authority is None:
        return NOTHING_REVOKED
    return read_revocations(folder / peers.revoked, authority)


def _certificates_here(others: Collection[NodeConfig], folder: Path) -> dict[str, bytes]:
    """Others' certificate files that are there; on a real node most are not, and need not be."""
    found = {}
    for other in others:
        if other.certificate and (folder / other.certificate).is_file():
            path = folder / other.certificate
            pem = read_certificate(path, field=f"nodes.{other.name}.certificate")
            check_certificate(pem, name=other.name, what=str(path), pin=other.fingerprint)
            found[other.name] = pem
    return found


def _check_self(identity: Identity) -> None:
    what = f"nodes.{identity.name}.certificate"
    if identity.revoked.covers(identity.certificate):
        raise CertificateError(f"{what}: the authority has revoked it; ask for a new one (gossipfl certs request)")
    check_certificate(identity.certificate, name=identity.name, what=what, pin=identity.pins.get(identity.name))
    if identity.authority is not None and not is_issued_by(identity.certificate, identity.authority):
        raise CertificateError(f"{what}: not signed by the authority of peers.yaml")
    if identity.authority is None and not is_self_signed(identity.certificate):
        raise CertificateError(f"{what}: signed by an authority that peers.yaml does not name under `authority`")


def _check_recognizable(identity: Identity, other: NodeConfig) -> None:
    if identity.authority is not None:
        return
    if other.name not in identity.pins:
        raise CertificateError(
            f"nodes.{other.name}.fingerprint: needed, since peers.yaml names no authority (sha256:… of its certificate)"
        )
    if other.address is None and other.name not in identity.certificates:
        raise CertificateError(
            f"nodes.{other.name}.certificate: a pinned node without address needs its PEM file beside peers.yaml"
        )
