"""Where noise and batches come from: a secret of the operating system, or a seed that everybody knows.

    SecretStream   ChaCha20 keyed by os.urandom ─> uniform, normal     real nodes; nothing repeats it
    SeededStream   PCG64 of (seed, node, purpose, step)                simulator and tests; not private

Normals by Box & Muller (1958) in float64 from 64 bits each: √(−2 ln u) · (cos 2πv, sin 2πv), tails to 9.5 deviations.
Attacks on finite-precision noise (Mironov 2012) are not covered.
"""

import os
from typing import Never, Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from gossipfl.core.rng import generator
from gossipfl.errors import PrivacyError

Float64Vector = NDArray[np.float64]

CHUNK = 1 << 18
"""Normals made at a time: small enough for the processor's cache."""


class Stream(Protocol):
    """A source of random numbers for one purpose."""

    @property
    def private(self) -> bool:
        """True when nobody else can know the numbers: the condition of every ε."""
        ...

    def at(self, step: int) -> "Stream":
        """The stream to use for one step: a seeded one gives the same numbers whenever it is asked for that step."""
        ...

    def uniform(self, count: int) -> Float64Vector:
        """(count,) independent numbers in [0, 1), 53 bits each."""
        ...

    def normal(self, count: int) -> Float64Vector:
        """(count,) independent standard normals."""
        ...


class SecretStream:
    """Numbers that nobody can know or repeat.

    Guarantees:
        Every call draws a new ChaCha20 key from the operating system and forgets it: there is nothing to save, to
        copy into a forked process, or to run out of.
    """

    __slots__ = ()
    private = True

    def at(self, step: int) -> "SecretStream":  # noqa: ARG002  # a secret has no positions
        """Itself."""
        return self

    def uniform(self, count: int) -> Float64Vector:
        """(count,) numbers in [0, 1)."""
        return (_words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> Float64Vector:
        """(count,) standard normals."""
        values = np.empty(count)
        for start in range(0, count, CHUNK):
            part = values[start : start + CHUNK]
            part[:] = box_muller(_words(len(part) + len(part) % 2))[: len(part)]
        return values

    def __reduce__(self) -> Never:
        raise PrivacyError("a secret stream is neither saved nor copied")

    def __copy__(self) -> Never:
        raise PrivacyError("a secret stream is neither saved nor copied")

    def __deepcopy__(self, _memo: object) -> Never:
        raise PrivacyError("a secret stream is neither saved nor copied")


class SeededStream:
    """Numbers that follow from (seed, node, purpose, step); never for the noise or the batches of a real node."""

    __slots__ = ("_generator", "_node", "_purpose", "_seed")
    private = False

    def __init__(self, seed: int, node: str, purpose: str, step: int = 0) -> None:
        self._seed, self._node, self._purpose = seed, node, purpose
        self._generator = generator(seed, node=node, purpose=purpose, step=step)

    def at(self, step: int) -> "SeededStream":
        """A fresh stream for that step."""
        return SeededStream(self._seed, self._node, self._purpose, step)

    def uniform(self, count: int) -> Float64Vector:
        """(count,) numbers in [0, 1)."""
        return self._generator.random(count)

    def normal(self, count: int) -> Float64Vector:
        """(count,) standard normals."""
        return self._generator.standard_normal(count)


def box_muller(words: NDArray[np.uint64]) -> Float64Vector:
    """Standard normals from as many (an even number of) random 64-bit words."""
    half = len(words) // 2
    # u in (0, 1]: all 64 bits count where it matters, close to 0
    radius = np.sqrt(-2 * np.log((words[:half] + 0.5) * 2.0**-64))
    angle = (words[half:] >> np.uint64(11)) * (2 * np.pi * 2.0**-53)
    normals: Float64Vector = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))
    return normals


def _words(count: int) -> NDArray[np.uint64]:
    cipher = Cipher(ChaCha20(os.urandom(32), bytes(16)), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * count)), dtype="<u8")
