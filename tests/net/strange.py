"""Certificates that nobody issues: what a peer may show to make its reader fall."""

import ssl

FLAWS = {
    "version": ("a003020102", "a00302013c"),
    "an extension twice": ("0603551d13", "0603551d0f"),
    "signature algorithm": ("2a8648ce3d040302", "2a8648ce3d04037f"),
    "curve": ("2a8648ce3d030107", "2a8648ce3d03017f"),
    "kind of key": ("2a8648ce3d0201", "2a8648ce3d027f"),
}
"""By name: bytes of the DER form, and what takes their place."""


def flawed(pem: bytes, flaw: str) -> bytes:
    """A certificate of that flaw."""
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    old, new = (bytes.fromhex(each) for each in FLAWS[flaw])
    assert old in der
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new)).encode()
