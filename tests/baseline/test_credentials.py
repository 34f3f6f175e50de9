"""What a deployment on loopback shows to prove who is who."""

import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from gossipfl.baseline.credentials import make_credentials


def test_every_key_is_for_its_owner_only(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "keys", ["n0", "n1"])
    private = [
        made.server.key,
        *(file for client in made.clients.values() for file in (client.tls.key, client.private)),
    ]
    assert {key.stat().st_mode & 0o777 for key in private} == {0o600}
    assert len({key.read_bytes() for key in private}) == 5


def test_the_servers_certificate_is_for_loopback(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "keys", ["n0"])
    certificate = x509.load_pem_x509_certificate(made.server.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.authority.read_bytes()))


def test_a_client_is_known_by_a_key_on_p384(tmp_path: Path) -> None:
    client = make_credentials(tmp_path / "keys", ["n0"]).clients["n0"]
    key = load_ssh_private_key(client.private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp384r1"
    assert key.public_key() == load_ssh_public_key(client.public.read_bytes())
