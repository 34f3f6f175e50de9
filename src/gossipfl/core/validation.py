"""Checks of what a peer sent: size before memory, then every number, then the norm.

Each failure is a `MessageError` with a short reason, to be counted, logged and dropped.
"""

import math

from gossipfl.core.codecs import Codec
from gossipfl.errors import MessageError
from gossipfl.state import AdapterSpec, AdapterState


def check_size(payload_bytes: int, codec: Codec, spec: AdapterSpec, *, peer: str) -> None:
    """Returns if an announced payload may be received at all; exact for codecs of fixed size.

    Raises:
        MessageError: reason size.
    """
    largest = codec.largest_bytes(spec)
    smallest = largest if codec.expected_bytes(spec) == largest else 1
    if not smallest <= payload_bytes <= largest:
        wanted = f"{largest}" if smallest == largest else f"1 to {largest}"
        raise MessageError(f"{peer!r} sent {payload_bytes} bytes, {wanted} were expected", peer=peer, reason="size")


def check_state(state: AdapterState, *, peer: str, max_norm: float) -> None:
    """Returns if every number is finite and the Euclidean norm is at most `max_norm`.

    Raises:
        MessageError: reason nan, infinity or norm.
    """
    # squares never cancel, and float64 holds them: the norm is NaN or infinite exactly when an entry is
    norm = abs(state)
    if math.isnan(norm):
        raise MessageError(f"{peer!r} sent a state with NaN", peer=peer, reason="nan")
    if math.isinf(norm):
        raise MessageError(f"{peer!r} sent a state with infinite values", peer=peer, reason="infinity")
    if norm > max_norm:
        message = f"{peer!r} sent a state of norm {norm:.3g}, at most {max_norm:g} was expected"
        raise MessageError(message, peer=peer, reason="norm")


def decode_state(
    payload: memoryview, codec: Codec, spec: AdapterSpec, reference: AdapterState | None, *, peer: str
) -> AdapterState:
    """Decodes a payload of checked size; the state's numbers are still to be checked.

    Raises:
        MessageError: reason payload.
    """
    try:
        return codec.decode(payload, spec, reference)
    except ValueError as error:
        raise MessageError(
            f"{peer!r} sent bytes that {codec.name} cannot decode: {error}", peer=peer, reason="payload"
        ) from error
