"""Certificates that the authority has taken back: an X.509 revocation list, signed by it, in a PEM file.

Serial numbers are the authority's own; a certificate that is issued anew has another one.
Source: RFC 5280, section 5.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gossipfl.errors import CertificateError
from gossipfl.net.certificate_files import is_issued_by
from gossipfl.net.issuing import KeyPair
from gossipfl.privacy.signing import UNREADABLE

LARGEST_BYTES = 1 << 20
"""Of a list: tens of thousands of certificates."""
_VALIDITY = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Revocations:
    """What an authority has taken back.

    Attributes:
        serials: of certificates.
        number: of the list; rises with each.
    """

    serials: frozenset[int] = frozenset()
    number: int = 0

    def covers(self, certificate: bytes) -> bool:
        """Whether a PEM certificate is among them; one that cannot be read is."""
        if not self.serials:
            return False
        try:
            return x509.load_pem_x509_certificate(certificate).serial_number in self.serials
        except UNREADABLE:
            return True


NOTHING_REVOKED = Revocations()


def read_revocations(path: Path, authority: bytes, *, least: int = 0) -> Revocations:
    """The list in a file.

    Args:
        authority: PEM of the certificate whose key must have signed it.
        least: number that it must not fall behind.

    Raises:
        CertificateError: missing, unreadable, not the authority's, or older than one that was read before.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise CertificateError(f"revoked: {path}: {error.strerror or 'not readable'}; expected a PEM file") from error
    if len(pem) > LARGEST_BYTES:
        raise CertificateError(f"revoked: {path}: {len(pem)} bytes, at most {LARGEST_BYTES} were expected")
    try:
        listed = x509.load_pem_x509_crl(pem)
        issuer = x509.load_pem_x509_certificate(authority)
        key = issuer.public_key()
        signed = isinstance(key, ec.EllipticCurvePublicKey) and listed.is_signature_valid(key)
        found = Revocations(frozenset(entry.serial_number for entry in listed), _number(listed))
    except (*UNREADABLE, TypeError) as error:
        raise CertificateError(f"revoked: {path}: no PEM revocation list") from error
    if not signed:
        raise CertificateError(f"revoked: {path}: not signed by the authority of peers.yaml")
    if found.number < least:
        raise CertificateError(f"revoked: {path}: list number {found.number}, and {least} was read before")
    return found


def _number(listed: x509.CertificateRevocationList) -> int:
    try:
        return listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def revoke(certificate: bytes | None, before: Revocations, *, authority: KeyPair) -> bytes:
    """A new list (PEM) with one certificate more, or none.

    Raises:
        CertificateError: no certificate, or not one of this authority's.
    """
    serials, issuer = set(before.serials), x509.load_pem_x509_certificate(authority.certificate)
    if certificate is not None:
        if not is_issued_by(certificate, authority.certificate):
            raise CertificateError("the certificate to revoke is none that this authority has signed")
        serials.add(x509.load_pem_x509_certificate(certificate).serial_number)
    signer = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101  # checked where it was loaded
    moment = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(moment).next_update(moment + _VALIDITY)
    builder = builder.add_extension(x509.CRLNumber(before.number + 1), critical=False)
    for serial in sorted(serials):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
