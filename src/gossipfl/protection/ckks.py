"""CKKS by TenSEAL: a receiver's key pair, ciphertexts that are added up, and what exact sums come out.

    integers / 2^scale_bits ── encrypt, 2,048 each ──> Σ ciphertexts ── decrypt, · 2^scale_bits ──> to the nearest

CKKS decrypts to the sum and some noise, about 1e-9 here. What is encrypted are multiples of 2^-scale_bits, 2e-7 and
more, so that the nearest is the very sum: noise that would tell of the secret key (Li & Micciancio 2021) ends here and
never reaches a state. 4,096 coefficients and 109 bits of modulus are 128-bit security (homomorphicencryption.org); sums
need no multiplication, so that one prime of 54 bits carries the numbers and the other belongs to the keys.

Sources: Cheon, Kim, Kim & Song (2017); TenSEAL, Benaissa et al. (2021).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from gossipfl.core.fixed_point import FixedPoint, Words
from gossipfl.errors import ConfigError

DEGREE = 4096
MODULI_BITS = (54, 55)
SCALE_BITS = 44
"""Of a number inside a ciphertext."""
LARGEST_BOUND = 128.0
"""Sums up to it leave room below the modulus: 2^7 · 2^44 against 2^53."""
SLOTS = DEGREE // 2
CONTEXT_BYTES = 1 << 18
"""A public context at most; they have half of it."""
CIPHERTEXT_BYTES = 2 * DEGREE * 8 + 512
"""A ciphertext of `SLOTS` numbers at most: two polynomials of 64-bit numbers, less when squeezed."""
_LENGTH_BYTES = 4
_OFF = 0.25
"""Of a unit: a decrypted number farther from a multiple is no sum of such."""


def require_tenseal() -> None:
    """Returns if the library is there; it is not imported.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("tenseal") is None:
        raise ConfigError("protection homomorphic needs the extra `he`: pip install 'gossipfl[he]'")


class SecretKey:
    """A receiver's; bytes, so that a simulation can be stopped with it.

    Attributes:
        public: context for its senders.
    """

    def __init__(self) -> None:
        tenseal = _tenseal()
        context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, DEGREE, -1, list(MODULI_BITS), n_threads=1)
        context.global_scale = 2.0**SCALE_BITS
        without = {"save_galois_keys": False, "save_relin_keys": False}
        self._secret: bytes = context.serialize(save_public_key=True, save_secret_key=True, **without)
        self.public: bytes = context.serialize(save_public_key=True, save_secret_key=False, **without)

    def decrypt(self, ciphertexts: bytes, size: int, ring: FixedPoint) -> Words | None:
        """The sum of all that was encrypted, in the ring; None: it is no sum of multiples.

        Raises:
            ValueError: the bytes are no ciphertexts under this key, or of other sizes.
        """
        secret = _loaded(self._secret)
        parts = [_vector(secret, part).decrypt() for part in _parts(ciphertexts, size)]
        numbers = np.concatenate([np.asarray(part)[:count] for part, count in zip(parts, _counts(size), strict=True)])
        exact = numbers * 2.0**ring.scale_bits
        nearest = np.rint(exact)
        # written so that NaN is far off
        if not np.abs(exact - nearest).max() < _OFF:
            return None
        return nearest.astype(np.int64).astype(f"<i{ring.bits // 8}").view(ring.words)


def encrypt(context: bytes, words: Words, ring: FixedPoint) -> bytes:
    """Ciphertexts of integers of a ring.

    Args:
        context: public, of the receiver; its sender is known.

    Raises:
        ValueError: the context is none, or another than receivers make.
    """
    public = _public(context)
    return _join([_encrypted(public, part).serialize() for part in _numbers(words, ring)])


def add(context: bytes, ciphertexts: bytes, words: Words, ring: FixedPoint) -> bytes:
    """Ciphertexts of sums, with fresh noise: a fresh encryption is added, not the numbers.

    Raises:
        ValueError: as `encrypt`, or the bytes are no ciphertexts of so many numbers.
    """
    public, parts = _public(context), zip(_parts(ciphertexts, words.size), _numbers(words, ring), strict=True)
    try:
        return _join([(_vector(public, part) + _encrypted(public, own)).serialize() for part, own in parts])
    except RuntimeError as error:
        raise ValueError(f"ciphertexts that cannot be added: {error}") from error


def most_bytes(size: int) -> int:
    """Of the ciphertexts of so many numbers."""
    return len(list(_counts(size))) * (CIPHERTEXT_BYTES + _LENGTH_BYTES)


def _counts(size: int) -> Iterator[int]:
    return (min(SLOTS, size - start) for start in range(0, size, SLOTS))


def _numbers(words: Words, ring: FixedPoint) -> Iterator[list[float]]:
    signed = words.view(f"<i{ring.bits // 8}")
    for start in range(0, signed.size, SLOTS):
        part: list[float] = (signed[start : start + SLOTS] / 2.0**ring.scale_bits).tolist()
        yield part


def _parts(ciphertexts: bytes, size: int) -> Iterator[tuple[bytes, int]]:
    """Each ciphertext, and how many numbers it must hold; sizes are checked before the library sees a byte."""
    place = 0
    for count in _counts(size):
        length = int.from_bytes(ciphertexts[place : place + _LENGTH_BYTES], "big")
        place += _LENGTH_BYTES
        if not 0 < length <= min(CIPHERTEXT_BYTES, len(ciphertexts) - place):
            raise ValueError(f"a ciphertext of {length} bytes")
        yield ciphertexts[place : place + length], count
        place += length
    if place != len(ciphertexts):
        raise ValueError("bytes behind the last ciphertext")


def _join(parts: Sequence[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)


def _encrypted(context: Any, numbers: list[float]) -> Any:  # noqa: ANN401  # tenseal has no types
    return _tenseal().ckks_vector(context, numbers)


def _vector(context: Any, part: tuple[bytes, int]) -> Any:  # noqa: ANN401
    data, count = part
    try:
        vector = _tenseal().ckks_vector_from(context, data)
        # the bytes are parsed here, and not before
        numbers, ciphertexts = vector.size(), len(vector.ciphertext())
    except RuntimeError as error:
        raise ValueError(f"no ciphertext: {error}") from error
    if (numbers, ciphertexts) != (count, 1):
        raise ValueError(f"{ciphertexts} ciphertexts of {numbers} numbers, one of {count} was expected")
    return vector


def _public(context: bytes) -> Any:  # noqa: ANN401
    loaded = _loaded(context)
    if loaded.has_secret_key():
        # the next sender could read what it is to add to
        raise ValueError("a context with its secret key")
    return loaded


@lru_cache(maxsize=128)
def _loaded(context: bytes) -> Any:  # noqa: ANN401
    if len(context) > 2 * CONTEXT_BYTES:
        raise ValueError(f"a context of {len(context)} bytes")
    try:
        loaded = _tenseal().context_from(context, n_threads=1)
        scale = loaded.global_scale
    except RuntimeError as error:
        raise ValueError(f"no context: {error}") from error
    if scale != 2.0**SCALE_BITS or not loaded.has_public_key():
        raise ValueError(f"a context of scale {scale:g}, {2.0**SCALE_BITS:g} and a public key were expected")
    parameters = loaded.seal_context().data.key_context_data()
    sizes = (parameters.parms().poly_modulus_degree(), parameters.total_coeff_modulus_bit_count())
    if sizes != (DEGREE, sum(MODULI_BITS)):
        raise ValueError(f"a context of {sizes[0]} coefficients and {sizes[1]} bits")
    return loaded


def _tenseal() -> Any:  # noqa: ANN401
    import tenseal  # noqa: PLC0415  # an extra, and a tenth of a second

    return tenseal
