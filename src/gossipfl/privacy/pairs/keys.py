"""A seed for each edge, known to its two ends only.

    a: X25519 key pair of this life ─ public half in every Hello ─> b: the same        over the mutual TLS of the link
    seed_ab = HKDF-SHA256( X25519(own private, their public), info = both names and both public halves )

Keys live in memory and die with the process: a node that was killed comes back with other ones, and agrees anew with
whoever greets it. The link says whose key it is; it is never used for anything else.
"""

import threading
import time
from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PUBLIC_BYTES = 32
_PURPOSE = b"gossipfl pair noise v1\0"


class PairSeeds:
    """The seeds of one node's edges. Safe to use from several threads.

    Args:
        name: of this node.
        neighbors: with whom it has an edge.
    """

    def __init__(self, name: str, neighbors: Collection[str]) -> None:
        self._name = name
        self._neighbors = frozenset(neighbors)
        self._key = X25519PrivateKey.generate()
        self._changed = threading.Condition()
        self._seeds: dict[str, bytes] = {}

    @property
    def public(self) -> bytes:
        """What neighbors are told, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def agree(self, neighbor: str, public: bytes) -> bool:
        """Takes a neighbor's public half, told over its link; whether there is a seed with it now.

        A neighbor of a later life replaces its seed. Anybody else, and a key that leads to no secret, changes nothing.
        """
        if neighbor not in self._neighbors or len(public) != PUBLIC_BYTES:
            return False
        try:
            secret = self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            # a point of low order: the secret would be known to everybody
            return False
        ends = sorted([(self._name, self.public), (neighbor, public)])
        info = _PURPOSE + b"".join(_with_length(name.encode()) + half for name, half in ends)
        seed = HKDF(SHA256(), PUBLIC_BYTES, salt=None, info=info).derive(secret)
        with self._changed:
            self._seeds[neighbor] = seed
            self._changed.notify_all()
        return True

    def wait(self, timeout_s: float) -> None:
        """Returns when every neighbor has a seed, or the time is over."""
        ends_at = time.monotonic() + timeout_s
        with self._changed:
            while len(self._seeds) < len(self._neighbors) and (left_s := ends_at - time.monotonic()) > 0:
                self._changed.wait(left_s)

    def of(self, neighbor: str) -> bytes | None:
        """The edge's seed, 32 bytes; None before anything was agreed in this life."""
        with self._changed:
            return self._seeds.get(neighbor)


def _with_length(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
