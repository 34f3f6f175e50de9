"""Keys and certificates of a deployment on one machine, made for it and gone with it.

DIR/authority.pem  authority.key  superlink.pem  superlink.key  NAME.pem  NAME.key      TLS, see net.certificates
DIR/NAME.auth  NAME.auth.pub                                                            who a SuperNode is: P-384
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gossipfl.config.addresses import LOOPBACK
from gossipfl.net.certificates import NodeFiles, make_trial_certificates
from gossipfl.net.pem_files import write_certificate, write_key

SUPERLINK = "superlink"


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """What a client shows.

    Attributes:
        tls: of its own small server, to which only processes of its own talk.
        private, public: the key by which the server knows it.
    """

    tls: NodeFiles
    private: Path
    public: Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where everything lies: the authority's certificate, the server's files, each client's by name."""

    authority: Path
    server: NodeFiles
    clients: Mapping[str, ClientFiles]


def make_credentials(folder: Path, names: Sequence[str]) -> Credentials:
    """A new authority, certificates for loopback, and a key for every client; keys have mode 0600.

    Args:
        folder: new.
        names: the clients'.
    """
    # a certificate is for a host, its port does not matter
    files = make_trial_certificates(folder, dict.fromkeys((SUPERLINK, *names), f"{LOOPBACK}:443"))
    clients = {name: _client(folder, name, files.nodes[name]) for name in names}
    return Credentials(files.authority, files.nodes[SUPERLINK], clients)


def _client(folder: Path, name: str, tls: NodeFiles) -> ClientFiles:
    made = ClientFiles(tls, folder / f"{name}.auth", folder / f"{name}.auth.pub")
    key = ec.generate_private_key(ec.SECP384R1())
    write_key(made.private, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    write_certificate(made.public, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    return made
