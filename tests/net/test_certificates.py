"""Certificates as they are made, written, and checked before use."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gossipfl.errors import CertificateError
from gossipfl.net.certificate_files import (
    check_certificate,
    fingerprint,
    is_issued_by,
    is_self_signed,
    read_authority,
    read_pair,
    subject_name,
)
from gossipfl.net.certificates import make_trial_certificates
from gossipfl.net.issuing import (
    KeyPair,
    Lifetime,
    make_authority,
    make_node,
    make_request,
    make_self_signed,
    sign_request,
)
from gossipfl.net.pem_files import write_key


def files(folder: Path, pair: KeyPair, key: bytes | None = None) -> tuple[Path, Path]:
    (folder / "n.pem").write_bytes(pair.certificate)
    (folder / "n.key").write_bytes(pair.key if key is None else key)
    return folder / "n.pem", folder / "n.key"


def test_a_node_certificate_names_the_node_first_then_its_host() -> None:
    pair = make_node("a", "10.1.2.3:7001", authority=make_authority())
    entries = x509.load_pem_x509_certificate(pair.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(entry.value) for entry in entries.value] == ["a", "10.1.2.3"]
    assert subject_name(pair.certificate) == "a"


def test_a_node_cannot_vouch_for_another() -> None:
    authority = make_authority()
    node = make_node("a", authority=authority)
    constraints = x509.load_pem_x509_certificate(node.certificate).extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert not constraints.value.ca
    assert is_issued_by(node.certificate, authority.certificate)
    assert not is_self_signed(node.certificate)
    assert is_self_signed(make_self_signed("a").certificate)


def test_a_fingerprint_is_the_hash_of_the_der_form() -> None:
    pem = make_self_signed("a").certificate
    certificate = x509.load_pem_x509_certificate(pem)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_bytes(serialization.Encoding.DER))
    assert fingerprint(pem) == f"sha256:{digest.finalize().hex()}"


def test_validity_is_about_two_years_for_nodes_and_ten_for_the_authority() -> None:
    now, authority = datetime.now(UTC), make_authority()
    for pair, days in ((authority, 3650), (make_node("a", authority=authority), 825)):
        end = x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc
        assert abs(end - now - timedelta(days=days)) < timedelta(minutes=5)


def test_a_request_is_signed_for_what_the_signer_says() -> None:
    authority, asked = make_authority(), make_request("a", "a.example.org:7001")
    pem = sign_request(asked.certificate, "a", "a.example.org:7001", authority=authority)
    check_certificate(pem, name="a", what="a.pem")
    assert is_issued_by(pem, authority.certificate)


def tampered(request: bytes) -> bytes:
    der = bytearray(x509.load_pem_x509_csr(request).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


def nameless() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )


def with_ed25519() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("request_pem", "message"),
    [
        (make_request("b").certificate, "is for 'b'"),
        (make_request("a", "bank.example.org:1").certificate, "also asks for 'bank.example.org'"),
        (tampered(make_request("a").certificate), "not signed by the key in it"),
        (nameless(), "is for nobody"),
        (with_ed25519(), "another key than ECDSA P-256"),
        (b"not a request", "no PEM certificate signing request"),
    ],
)
def test_a_request_for_anything_else_is_not_signed(request_pem: bytes, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        sign_request(request_pem, "a", authority=make_authority())


def test_a_pair_is_read_when_everything_fits(tmp_path: Path) -> None:
    pair = make_self_signed("a")
    assert read_pair(*files(tmp_path, pair), name="a") == pair


def other_key() -> bytes:
    return make_self_signed("a").key


def encrypted_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


def ed25519_key() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (other_key(), "does not belong to the certificate"),
        (encrypted_key(), "encrypted"),
        (ed25519_key(), "ECDSA P-256 was expected"),
        (b"nonsense", "no PEM private key"),
    ],
)
def test_a_key_that_does_not_fit_is_one_clear_line(tmp_path: Path, key: bytes, message: str) -> None:
    with pytest.raises(CertificateError, match=message) as caught:
        read_pair(*files(tmp_path, make_self_signed("a"), key), name="a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lifetime", "message"),
    [
        (Lifetime(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 3, 4, tzinfo=UTC)), "expired on 2021-03-04"),
        (Lifetime(datetime(2090, 5, 6, tzinfo=UTC), datetime(2091, 1, 1, tzinfo=UTC)), "not valid before 2090-05-06"),
    ],
)
def test_a_certificate_out_of_its_time_names_the_date(tmp_path: Path, lifetime: Lifetime, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        read_pair(*files(tmp_path, make_self_signed("a", lifetime=lifetime)), name="a")


def test_a_certificate_of_another_node_names_both(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"for 'b', expected 'a'"):
        read_pair(*files(tmp_path, make_self_signed("b")), name="a")


def test_a_pin_that_does_not_hold_names_both_fingerprints() -> None:
    pem, pin = make_self_signed("a").certificate, "sha256:" + "0" * 64
    with pytest.raises(CertificateError, match=f"{fingerprint(pem)}.*{pin}"):
        check_certificate(pem, name="a", what="a.pem", pin=pin)


def test_missing_and_unreadable_files_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="No such file"):
        read_pair(tmp_path / "none.pem", tmp_path / "none.key", name="a")
    certificate, key = files(tmp_path, make_self_signed("a"))
    certificate.write_bytes(b"\xff\x00")
    with pytest.raises(CertificateError, match="no PEM certificate"):
        read_pair(certificate, key, name="a")
    with pytest.raises(CertificateError, match="Is a directory"):
        read_authority(tmp_path, key)


def test_a_key_is_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.key"
    write_key(path, b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(CertificateError, match="there is a key already"):
        write_key(path, b"another")
    assert path.read_bytes() == b"secret"


def test_trial_certificates_go_on_with_the_authority_that_is_there(tmp_path: Path) -> None:
    first = make_trial_certificates(tmp_path, {"a": "127.0.0.1:7001", "b": None})
    second = make_trial_certificates(tmp_path, {"c": None})
    authority = second.authority.read_bytes()
    for made in (first, second):
        for name, node in made.nodes.items():
            assert is_issued_by(read_pair(node.certificate, node.key, name=name).certificate, authority)
    with pytest.raises(CertificateError, match="there is a key already"):
        make_trial_certificates(tmp_path, {"d": None, "a": None})
    assert not (tmp_path / "d.key").exists()
