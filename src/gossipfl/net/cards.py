"""Members' cards, signed by the keys of their certificates.

proof = length of the certificate (2 bytes) | certificate (DER) | ECDSA over name, address, incarnation, here or gone
"""

import json
import ssl

from gossipfl.core.swim import Card, Seal
from gossipfl.errors import CertificateError, HandshakeError
from gossipfl.net.pinning import Trust
from gossipfl.privacy.signing import Signer, verify

_PURPOSE = b"gossipfl member card v1\0"


def seal_for(trust: Trust, address: str) -> Seal:
    """Signs as the node that `trust` belongs to, and believes whom it believes.

    Raises:
        CertificateError: its key does not sign.
    """
    identity = trust.identity
    signer = Signer.from_pem(identity.key)
    der = ssl.PEM_cert_to_DER_cert(identity.certificate.decode())
    head = len(der).to_bytes(2, "big") + der

    def card(name: str, incarnation: int, left: bool) -> Card:  # noqa: FBT001  # as the seam has it
        plain = Card(name, address, incarnation, left)
        return Card(name, address, incarnation, left, head + signer.sign(_text(plain)))

    def believes(card: Card) -> bool:
        return _is_signed(trust, card, _text(card), card.proof[_end(card) :])

    def vouches(card: Card, text: bytes, proof: bytes) -> bool:
        return _is_signed(trust, card, text, proof)

    return Seal(signer.sign, card, believes, vouches)


def certificate_of(card: Card) -> bytes:
    """The certificate (PEM) that a card brings; what it says is not checked."""
    return ssl.DER_cert_to_PEM_cert(card.proof[2 : _end(card)]).encode()


def _is_signed(trust: Trust, card: Card, text: bytes, signature: bytes) -> bool:
    pem = certificate_of(card)
    try:
        trust.check(card.name, pem)
        return verify(pem, signature, text)
    except (CertificateError, HandshakeError):
        return False


def _end(card: Card) -> int:
    return 2 + int.from_bytes(card.proof[:2], "big")


def _text(card: Card) -> bytes:
    return _PURPOSE + json.dumps([card.name, card.address, card.incarnation, card.left]).encode()
