"""Who stands for a public key: the certificates that nodes know each other by, or nobody."""

from typing import Protocol


class Voucher(Protocol):
    """Signs own keys and believes others'."""

    @property
    def certificate(self) -> bytes:
        """Own, PEM; empty where nobody signs."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """Signature with the key of the own certificate."""
        ...

    def believes(self, name: str, certificate: bytes, signature: bytes, statement: bytes) -> bool:
        """Whether a node of that name has signed it, by a certificate that is vouched for."""
        ...

    def fingerprint(self, name: str) -> bytes:
        """SHA-256 of a node's certificate, as it is known here; empty while it is not known."""
        ...


class Unsigned:
    """Nobody signs and everything is believed: simulations, and trials that say so."""

    certificate = b""

    def sign(self, statement: bytes) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def believes(self, name: str, certificate: bytes, signature: bytes, statement: bytes) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def fingerprint(self, name: str) -> bytes:
        """The name."""
        return name.encode()
