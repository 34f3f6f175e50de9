"""Making keys and certificates: ECDSA P-256, the node's name as first DNS entry of SubjectAltName.

    authority ──signs──> node certificate        key on the signer's machine: trials
    node ──request──> authority ──certificate──> node    the key never leaves the node
    node ──signs itself; others pin its fingerprint      no authority

A node is who the first DNS entry says; host and IP of its address follow. No Ed25519:
gRPC's TLS takes none.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gossipfl.config.addresses import parse_address
from gossipfl.errors import CertificateError

AUTHORITY_VALIDITY = timedelta(days=3650)
NODE_VALIDITY = timedelta(days=825)
CLOCK_SKEW = timedelta(hours=1)
"""Certificates are valid from this long ago, for machines whose clocks are behind."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key.

    Attributes:
        certificate: PEM.
        key: PEM, PKCS #8, not encrypted; left out of the representation.
    """

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "KeyPair(certificate=…, key=…)"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a certificate is valid.

    Attributes:
        start: from when on.
        end: until when.
    """

    start: datetime
    end: datetime

    @classmethod
    def of(cls, validity: timedelta, now: datetime | None = None) -> "Lifetime":
        """From now (less the clocks' skew) for as long as given."""
        moment = now or datetime.now(UTC)
        return cls(moment - CLOCK_SKEW, moment + validity)


def make_authority(*, lifetime: Lifetime | None = None) -> KeyPair:
    """A new certificate authority; its key signs nodes and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("gossipfl authority")
    builder = _builder(subject, subject, key.public_key(), lifetime or Lifetime.of(AUTHORITY_VALIDITY))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), key_pem(key))


def make_node(
    name: str, address: str | None = None, *, authority: KeyPair, lifetime: Lifetime | None = None
) -> KeyPair:
    """A node's key and its certificate, signed by the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair(_signed(authority, key.public_key(), name, address, lifetime), key_pem(key))


def make_self_signed(name: str, address: str | None = None, *, lifetime: Lifetime | None = None) -> KeyPair:
    """A node's key and a certificate that vouches for itself; others pin its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    lifetime = lifetime or Lifetime.of(NODE_VALIDITY)
    builder = _leaf(_builder(subject, subject, key.public_key(), lifetime), _entries(name, address))
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), key_pem(key))


def make_request(name: str, address: str | None = None) -> KeyPair:
    """A node's key and a signing request (PEM, in place of the certificate) for its name and address."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(name))
    builder = builder.add_extension(x509.SubjectAlternativeName(_entries(name, address)), critical=False)
    request = builder.sign(key, hashes.SHA256())
    return KeyPair(request.public_bytes(serialization.Encoding.PEM), key_pem(key))


def sign_request(
    request: bytes, name: str, address: str | None = None, *, authority: KeyPair, lifetime: Lifetime | None = None
) -> bytes:
    """The certificate (PEM) for a request; only what the signer names is granted.

    Args:
        name: the node the signer means to certify.
        address: HOST:PORT the signer grants as well.

    Raises:
        CertificateError: no request, not signed by its own key, another key than P-256, another name, or more than
            name and address is asked.
    """
    try:
        asked = x509.load_pem_x509_csr(request)
        signed = asked.is_signature_valid
    except ValueError as error:
        raise CertificateError(f"the request for {name!r} is no PEM certificate signing request") from error
    if not signed:
        raise CertificateError(f"the request for {name!r} is not signed by the key in it: made or changed by another")
    public = asked.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise CertificateError(f"the request for {name!r} has another key than ECDSA P-256")
    _check_asked(asked, name, address)
    return _signed(authority, public, name, address, lifetime)


def _check_asked(asked: x509.CertificateSigningRequest, name: str, address: str | None) -> None:
    try:
        entries = list(asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (x509.ExtensionNotFound, ValueError):
        entries = []
    if not entries or entries[0] != x509.DNSName(name):
        first = repr(entries[0].value) if entries else "nobody"
        raise CertificateError(f"the request is for {first}, the certificate was to be for {name!r}")
    extra = [str(entry.value) for entry in entries if entry not in _entries(name, address)]
    if extra:
        raise CertificateError(f"the request for {name!r} also asks for {extra[0]!r}: grant it with --address")


def _signed(
    authority: KeyPair, public: ec.EllipticCurvePublicKey, name: str, address: str | None, lifetime: Lifetime | None
) -> bytes:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101  # checked where it was loaded
    builder = _builder(_subject(name), issuer.subject, public, lifetime or Lifetime.of(NODE_VALIDITY))
    return _pem(_leaf(builder, _entries(name, address)).sign(signer, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: Lifetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(lifetime.start)
        .not_valid_after(lifetime.end)
    )


def _leaf(builder: x509.CertificateBuilder, entries: list[x509.GeneralName]) -> x509.CertificateBuilder:
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
        # not an authority: a node whose certificate is trusted cannot vouch for another
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _entries(name: str, address: str | None) -> list[x509.GeneralName]:
    entries: list[x509.GeneralName] = [x509.DNSName(name)]
    if address:
        host = parse_address(address).host
        try:
            entries.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if host != name:
                entries.append(x509.DNSName(host))
    return entries


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM, PKCS #8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
