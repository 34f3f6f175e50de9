"""Masks that cancel in the sum: one stream for every two senders, added by the one and taken away by the other.

    share_j = fixed(W_vj x_j) + Σ_{k>j} PRG(v, round, {j,k}) − Σ_{k<j} PRG(v, round, {j,k})      mod 2^bits
    Σ_j share_j = Σ_j fixed(W_vj x_j)

PRG is ChaCha20 under a key that HKDF makes of the two nodes' secret for this receiver and this round: no stream is ever
used for two contents. Without the others' secrets a share is uniform, whatever is in it.
Source: Bonawitz et al., Practical secure aggregation (2017); ChaCha20, RFC 8439.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from gossipfl.core.fixed_point import Words
from gossipfl.protection.pair_keys import derive, framed

_BLOCK_BYTES = 1 << 16
"""Of a stream at a time: made and added while it is in the cache."""
_ZEROS = bytes(_BLOCK_BYTES)
_PURPOSE = b"gossipfl mask v1"


def stream_keys(me: str, receiver: str, round: int, secrets: Mapping[str, bytes]) -> list[tuple[bytes, bool]]:
    """A key for each other sender, and whether its stream is added or taken away.

    Args:
        secrets: shared with the others, for this receiver's sums, by name.
    """
    keys = []
    for other, secret in sorted(secrets.items()):
        low, high = sorted((me, other))
        purpose = framed(_PURPOSE, receiver.encode(), round.to_bytes(8, "big"), low.encode(), high.encode())
        keys.append((derive(secret, purpose), me == low))
    return keys


def mask(words: Words, keys: Iterable[tuple[bytes, bool]]) -> None:
    """Adds and takes away the streams, in place."""
    # a key is used for this one stream, so that any nonce will do
    streams = [(Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor(), adds) for key, adds in keys]
    zeros = _ZEROS[: words.nbytes]
    buffer = bytearray(len(zeros))
    stream = np.frombuffer(buffer, words.dtype)
    for start in range(0, words.size, stream.size):
        block = words[start : start + stream.size]
        for encryptor, adds in streams:
            encryptor.update_into(zeros, buffer)
            (np.add if adds else np.subtract)(block, stream[: block.size], out=block)
