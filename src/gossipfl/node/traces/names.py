"""What traces and spans are called, so that both ends of a message say the same without telling each other.

    trace   hash(seed, sender, round, step)          all that became of one publication
    span    hash(seed, sender/life/number)           one message on its way, as the logs name it

The seed is the sender's, drawn for its life, and comes with its greeting. All else is in every envelope and has been
checked there: a neighbor cannot choose a name, nor hit that of another's trace.
"""

from hashlib import blake2b

SEED_BYTES = 16


def trace_of(seed: bytes, sender: str, round: int, step: int) -> int:
    """A publication's trace, 128 bits, not 0.

    Args:
        seed: 16 bytes.
        round, step: the sender's, as its header has them.
    """
    # a node's name has no slash
    return _hash(16, b"gossipfl trace", seed, f"{sender}/{round}/{step}")


def span_of(seed: bytes, exchange: str) -> int:
    """The span in which a message leaves its sender, 64 bits, not 0.

    Args:
        seed: 16 bytes.
        exchange: see `gossipfl.net.wire.exchange`.
    """
    return _hash(8, b"gossipfl span", seed, exchange)


def _hash(size: int, purpose: bytes, seed: bytes, text: str) -> int:
    digest = blake2b(text.encode(), digest_size=size, key=seed, person=purpose).digest()
    # 0 says that there is none
    return int.from_bytes(digest) or 1
