"""Signatures by a node's own key: ECDSA P-256 with SHA-256, the key of its TLS certificate.

What is signed starts with what it is, so that a signature of one kind never passes for another.
"""

from functools import lru_cache
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gossipfl.core.handshake import LedgerHead
from gossipfl.errors import CertificateError

_ALGORITHM = ec.ECDSA(hashes.SHA256())
UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises of certificates that make no sense: a peer decides which."""
_HEAD_PURPOSE = b"gossipfl ledger head v1\0"


class Signer:
    """Signs with a private key that stays in this process."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, key_pem: bytes) -> Self:
        """Reads an unencrypted PEM key.

        Raises:
            CertificateError: no PEM key, encrypted, or not on P-256.
        """
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError) as error:
            raise CertificateError("the private key cannot be read: an unencrypted PEM key was expected") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CertificateError("the private key is not on the curve P-256, which gossipfl signs with")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """DER signature of the data."""
        return self._key.sign(data, _ALGORITHM)


def verify(certificate_pem: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the data was signed by the key of this certificate, or of one of several in the same PEM text.

    Raises:
        CertificateError: there is no certificate with a P-256 key in the PEM text.
    """
    return any(_matches(key, signature, data) for key in _public_keys(certificate_pem))


def sign_head(signer: Signer, *, charges: int, head: str, incarnation: int) -> LedgerHead:
    """A ledger head that neighbors can hold this node to."""
    return LedgerHead(charges, head, incarnation, signer.sign(_head_bytes(charges, head, incarnation)))


def verify_head(certificate_pem: bytes, head: LedgerHead) -> bool:
    """Whether the head was signed by the key of this certificate; False for any nonsense in its fields."""
    try:
        data = _head_bytes(head.charges, head.hash, head.incarnation)
    except (ValueError, OverflowError):
        return False
    return verify(certificate_pem, head.signature, data)


def _head_bytes(charges: int, head: str, incarnation: int) -> bytes:
    digest = bytes.fromhex(head)
    if len(digest) not in {0, 32} or (charges > 0) != bool(digest):
        raise ValueError("a ledger head has a hash of 32 bytes, or none before the first charge")
    return _HEAD_PURPOSE + charges.to_bytes(8, "big") + incarnation.to_bytes(8, "big") + digest


def _matches(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)  # a node verifies one neighbor's heads again and again
def _public_keys(certificate_pem: bytes) -> tuple[ec.EllipticCurvePublicKey, ...]:
    try:
        keys = tuple(
            key
            for certificate in x509.load_pem_x509_certificates(certificate_pem)
            if isinstance(key := _key_of(certificate), ec.EllipticCurvePublicKey)
        )
    except UNREADABLE as error:
        raise CertificateError("the certificate cannot be read: PEM was expected") from error
    if not keys:
        raise CertificateError("the certificate has no elliptic-curve key, which gossipfl verifies with")
    return keys


def _key_of(certificate: x509.Certificate) -> object:
    return certificate.public_key()


def make_key_pem() -> bytes:
    """A fresh P-256 key, PEM (PKCS #8, not encrypted)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
