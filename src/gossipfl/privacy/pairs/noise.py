"""The pair noise of one node: Σ_j ±v_ij(phase, turn), each v known to both ends of its edge.

    v_ij of the first turn of a phase is the same at both ends, with opposite signs: it cancels in the network's sum.

    AgreedNoise   seeds agreed by X25519 ─> HKDF by phase and turn ─> ChaCha20 ─> normals     real nodes
    SeededNoise   PCG64 of (seed, edge, phase, turn)                                         simulator; not private

Normals are those of `streams`. What two machines make of the same words differs in the last bit of float64 at most.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gossipfl.privacy.pairs.keys import PairSeeds
from gossipfl.privacy.pairs.turns import MemoryTurns, Turns
from gossipfl.privacy.streams import CHUNK, Float64Vector, SeededStream, box_muller

_PURPOSE = b"gossipfl pair noise of a phase v1\0"


class PairNoise(Protocol):
    """Of one node."""

    @property
    def turns(self) -> Turns:
        """Which pair noise was used."""
        ...

    def total(self, phase: int, size: int) -> Float64Vector:
        """(size,) sum over the node's edges of standard normals, signed; takes the next turn of the phase first."""
        ...


class AgreedNoise:
    """Of a real node. An edge without seed (its other end was never met in this life) gets noise of the node's own.

    Args:
        name: of this node.
        neighbors: its edges.
        seeds: agreed with them.
        turns: counts, durably.
        patience_s: how long the first phase waits for neighbors without a seed, once.
    """

    def __init__(
        self, name: str, neighbors: Sequence[str], seeds: PairSeeds, turns: Turns, *, patience_s: float
    ) -> None:
        self._name = name
        self._neighbors = tuple(sorted(neighbors))
        self._seeds = seeds
        self._patience_s = patience_s
        self.turns = turns

    def total(self, phase: int, size: int) -> Float64Vector:
        """See `PairNoise.total`."""
        turn = self.turns.take(phase)
        self._seeds.wait(self._patience_s)
        self._patience_s = 0.0
        summed = np.zeros(size)
        for neighbor in self._neighbors:
            # left out it would cost ε: see `exposure`
            seed = self._seeds.of(neighbor) or os.urandom(32)
            for start, normals in _normals(_key(seed, phase, turn), size):
                part = summed[start : start + len(normals)]
                part += normals if self._name < neighbor else -normals
        return summed


class SeededNoise:
    """Of a simulated node: everybody can repeat it."""

    def __init__(self, seed: int, name: str, neighbors: Sequence[str]) -> None:
        self._seed = seed
        self._name = name
        self._neighbors = tuple(sorted(neighbors))
        self.turns = MemoryTurns()

    def total(self, phase: int, size: int) -> Float64Vector:
        """See `PairNoise.total`."""
        turn = self.turns.take(phase)
        summed = np.zeros(size)
        for neighbor in self._neighbors:
            low, high = sorted((self._name, neighbor))
            stream = SeededStream(self._seed, f"{low} {high}", f"pair noise {turn}", phase)
            normals = stream.normal(size)
            summed += normals if self._name == low else -normals
        return summed


def _key(seed: bytes, phase: int, turn: int) -> bytes:
    info = _PURPOSE + phase.to_bytes(8, "big") + turn.to_bytes(8, "big")
    return HKDFExpand(SHA256(), 32, info).derive(seed)


def _normals(key: bytes, size: int) -> Iterator[tuple[int, Float64Vector]]:
    """Standard normals of a key, in pieces with their places."""
    cipher = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        words = np.frombuffer(cipher.update(bytes(8 * (count + count % 2))), dtype="<u8")
        yield start, box_muller(words)[:count]
