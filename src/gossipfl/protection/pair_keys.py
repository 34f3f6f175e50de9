"""Keys of two nodes that share a neighbor: X25519, and from what they agree on one key for each purpose by HKDF.

    a, g^b ──┐
             ├─ X25519 ─> secret ── HKDF-SHA256(what it is for) ──> 32 bytes
    g^a, b ──┘

Sources: RFC 7748, RFC 5869.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 key in memory, never on disk of a real node.

    Attributes:
        private: 32 random bytes; left out of the representation.
        public: what others may know.
    """

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def of(cls, private: bytes) -> "KeyPair":
        """The pair of a private key."""
        return cls(private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())

    def agree(self, public: bytes) -> bytes:
        """The secret shared with whoever holds the other private key.

        Raises:
            ValueError: the public key is none, or of low order, which would make a secret that everybody knows.
        """
        own = X25519PrivateKey.from_private_bytes(self.private)
        return own.exchange(X25519PublicKey.from_public_bytes(public))


def derive(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose; those for others tell nothing about it."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret)


def framed(*parts: bytes) -> bytes:
    """The parts as one text that no other parts give."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
