"""Keys for sums, signed by the certificates that nodes know each other by."""

from gossipfl.core.papers import Believes, Paper
from gossipfl.errors import CertificateError, HandshakeError
from gossipfl.net.certificate_files import fingerprint, first_certificate
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust
from gossipfl.privacy.signing import Signer, verify


class Certified:
    """This node's certificate, and whom it trusts; see `protection.vouching.Voucher`.

    Attributes:
        certificate: own, PEM.
    """

    def __init__(self, identity: Identity, signer: Signer, trust: Trust) -> None:
        self.certificate = identity.certificate
        self._name = identity.name
        self._signer = signer
        self._trust = trust

    def sign(self, statement: bytes) -> bytes:
        """By the certificate's key."""
        return self._signer.sign(statement)

    def believes(self, name: str, certificate: bytes, signature: bytes, statement: bytes) -> bool:
        """Whether it was signed by a certificate of that node for which authority or pin vouches."""
        return _believes(self._trust, name, certificate, signature, statement)

    def paper(self, text: bytes) -> Paper:
        """A text signed by this node."""
        return Paper(text, self.certificate, self.sign(text))

    def has_signed(self, name: str, paper: Paper) -> bool:
        """See `core.papers.Believes`."""
        return has_signed(self._trust)(name, paper)

    def has_written(self, name: str, paper: Paper) -> bool:
        """The same of papers on this node's own disk: its own are its own, by whatever certificate it had then."""
        return name == self._name or self.has_signed(name, paper)

    def fingerprint(self, name: str) -> bytes:
        """Of the certificate that a neighbor, or this node, is known by."""
        pem = self.certificate if name == self._name else self._trust.certificate(name)
        return b"" if pem is None else fingerprint(pem).encode()


def has_signed(trust: Trust) -> Believes:
    """Who has signed a paper, by whom `trust` believes; needs no key."""
    return lambda name, paper: _believes(trust, name, paper.certificate, paper.signature, paper.text)


def _believes(trust: Trust, name: str, certificate: bytes, signature: bytes, statement: bytes) -> bool:
    try:
        leaf = first_certificate(certificate)
        trust.check(name, leaf)
        return verify(leaf, signature, statement)
    except (CertificateError, HandshakeError):
        return False
