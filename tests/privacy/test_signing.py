"""A signature holds for exactly what was signed, by exactly this key."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.handshake import LedgerHead
from gossipfl.errors import CertificateError
from gossipfl.privacy.signing import Signer, sign_head, verify, verify_head

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(key: Key) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def certificate(key: Key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    digest = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
SIGNER, CERTIFICATE = Signer.from_pem(pem(KEY)), certificate(KEY)
HEAD = sign_head(SIGNER, charges=3, head="ab" * 32, incarnation=2)


@given(st.binary(), st.binary())
def test_only_what_was_signed_verifies(data: bytes, other: bytes) -> None:
    signature = SIGNER.sign(data)
    assert verify(CERTIFICATE, signature, data)
    assert verify(CERTIFICATE, signature, other) == (other == data)
    assert not verify(certificate(OTHER), signature, data)


@given(st.binary())
def test_garbage_is_no_signature(garbage: bytes) -> None:
    assert not verify(CERTIFICATE, garbage, b"data")


def test_one_of_several_certificates_is_enough() -> None:
    assert verify(certificate(OTHER) + CERTIFICATE, SIGNER.sign(b"data"), b"data")


def test_a_head_verifies_with_the_certificate_of_its_node_only() -> None:
    assert verify_head(CERTIFICATE, HEAD)
    assert verify_head(CERTIFICATE, sign_head(SIGNER, charges=0, head="", incarnation=1))
    assert not verify_head(certificate(OTHER), HEAD)


@pytest.mark.parametrize(
    "head",
    [
        LedgerHead(4, HEAD.hash, 2, HEAD.signature),
        LedgerHead(3, "cd" * 32, 2, HEAD.signature),
        LedgerHead(3, HEAD.hash, 3, HEAD.signature),
        LedgerHead(-1, HEAD.hash, 2, HEAD.signature),
        LedgerHead(1 << 70, HEAD.hash, 2, HEAD.signature),
        LedgerHead(3, "nonsense", 2, HEAD.signature),
        LedgerHead(3, "ab", 2, HEAD.signature),
        LedgerHead(3, "", 2, HEAD.signature),
        LedgerHead(3, HEAD.hash, 2, b""),
    ],
)
def test_a_head_with_anything_changed_does_not_verify(head: LedgerHead) -> None:
    assert not verify_head(CERTIFICATE, head)


def test_keys_that_do_not_fit_are_refused_in_one_line() -> None:
    big, edwards = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
    for key in (b"", b"no key", pem(big), pem(edwards), CERTIFICATE):
        with pytest.raises(CertificateError, match="private key") as caught:
            Signer.from_pem(key)
        assert "\n" not in str(caught.value)
    for text in (b"", b"no certificate", certificate(edwards), pem(KEY)):
        with pytest.raises(CertificateError, match="certificate"):
            verify(text, b"", b"")
