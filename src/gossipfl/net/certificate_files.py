"""Certificates and keys on disk, and every check before they are used: each failure is one `CertificateError` line."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gossipfl.errors import CertificateError
from gossipfl.net.issuing import KeyPair
from gossipfl.privacy.signing import UNREADABLE


def fingerprint(certificate: bytes) -> str:
    """`sha256:` and 64 hex digits over the DER form of a PEM certificate: what peers.yaml pins."""
    return f"sha256:{x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()}"


def first_certificate(certificates: bytes) -> bytes:
    """The first of a PEM text, by itself: whoever checks one and believes another is deceived.

    Raises:
        CertificateError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(certificates).public_bytes(serialization.Encoding.PEM)
    except UNREADABLE as error:
        raise CertificateError("the certificate cannot be read: PEM was expected") from error


def subject_name(certificate: bytes) -> str | None:
    """The node a PEM certificate is for: the first DNS entry of its SubjectAltName."""
    try:
        entries = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None
    names = entries.value.get_values_for_type(x509.DNSName)
    return names[0] if names else None


def is_self_signed(certificate: bytes) -> bool:
    """Whether a PEM certificate vouches for itself."""
    return is_issued_by(certificate, certificate)


def is_issued_by(certificate: bytes, authority: bytes) -> bool:
    """Whether the authority's key signed this certificate; both PEM."""
    try:
        leaf, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(authority)
        leaf.verify_directly_issued_by(issuer)
    except (*UNREADABLE, TypeError, InvalidSignature):
        return False
    return True


def check_certificate(pem: bytes, *, name: str, what: str, pin: str | None = None, now: datetime | None = None) -> None:
    """Returns if the certificate is valid today, for this node, and the pinned one.

    Args:
        pem: the certificate.
        name: the node it must be for.
        what: how messages call it, for example its path.
        pin: fingerprint it must have.

    Raises:
        CertificateError: it is not.
    """
    check_validity(pem, what=what, now=now)
    holder = subject_name(pem)
    if holder != name:
        whom = "no node" if holder is None else repr(holder)
        raise CertificateError(f"{what}: the certificate is for {whom}, expected {name!r} (first DNS SubjectAltName)")
    if pin is not None and fingerprint(pem) != pin:
        raise CertificateError(f"{what}: fingerprint {fingerprint(pem)}, peers.yaml pins {pin} for {name!r}")


def check_validity(pem: bytes, *, what: str, now: datetime | None = None) -> None:
    """Returns if the text is a certificate and valid today.

    Raises:
        CertificateError: it is not; the date is named.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except UNREADABLE as error:
        raise CertificateError(f"{what}: no PEM certificate") from error
    moment = now or datetime.now(UTC)
    if moment > certificate.not_valid_after_utc:
        raise CertificateError(f"{what}: the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if moment < certificate.not_valid_before_utc:
        raise CertificateError(
            f"{what}: the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
        )


def read_certificate(path: Path, *, field: str) -> bytes:
    """The PEM bytes of a certificate file, still to be checked.

    Raises:
        CertificateError: missing or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{field}: {path}: {error.strerror or 'not readable'}; expected a PEM file") from error


def read_pair(certificate: Path, key: Path, *, name: str, field: str = "certificate") -> KeyPair:
    """A node's certificate and key, checked to belong together, to the node and to today.

    Raises:
        CertificateError: anything else; one line.
    """
    pem = read_certificate(certificate, field=field)
    check_certificate(pem, name=name, what=str(certificate))
    return KeyPair(pem, _matching_key(key, pem))


def read_authority(certificate: Path, key: Path) -> KeyPair:
    """An authority's certificate and key, checked to belong together and to be able to sign.

    Raises:
        CertificateError: anything else; one line.
    """
    pem = read_certificate(certificate, field="authority")
    check_validity(pem, what=str(certificate))
    pair = KeyPair(pem, _matching_key(key, pem))
    if not isinstance(serialization.load_pem_private_key(pair.key, password=None), ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{key}: an authority's key is ECDSA")
    return pair


def _matching_key(path: Path, certificate: bytes) -> bytes:
    pem = read_certificate(path, field="key")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateError(f"{path}: the key is encrypted, a plain PEM key was expected") from error
    except ValueError as error:
        raise CertificateError(f"{path}: no PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(f"{path}: {type(key).__name__.removesuffix('PrivateKey')} key, ECDSA P-256 was expected")
    if key.public_key() != x509.load_pem_x509_certificate(certificate).public_key():
        raise CertificateError(f"{path}: the key does not belong to the certificate beside it")
    return pem
