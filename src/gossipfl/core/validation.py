"""Checks of what a peer sent: size before memory, then every number, then the norm.

Each failure is a `MessageError` with a short reason, to be counted, logged and dropped.
"""

import math

import numpy as np

from gossipfl.core.codecs import Codec
from gossipfl.core.codecs.packing import added
from gossipfl.core.mass import Flow
from gossipfl.errors import MessageError
from gossipfl.state import AdapterSpec, AdapterState

SPOILED = frozenset({"payload", "nan", "infinity", "norm"})
"""Reasons of a message that came as it was sent and holds no state: sent again it would hold none again."""


def check_size(payload_bytes: int, codec: Codec, spec: AdapterSpec, *, peer: str) -> None:
    """Returns if an announced payload may be received at all.

    Raises:
        MessageError: reason size.
    """
    sizes = codec.sizes(spec)
    if payload_bytes not in sizes:
        wanted = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
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


def check_flow(flow: Flow[AdapterState], *, peer: str, max_norm: float) -> None:
    """Returns if totals are finite, and no larger than states of norm `max_norm` at most can have made them.

    Raises:
        MessageError: reason nan or norm.
    """
    norm = abs(flow.total)
    if not math.isfinite(norm):
        raise MessageError(f"{peer!r} sent totals that are no numbers", peer=peer, reason="nan")
    # weights are rounded nowhere, the sum of states is
    if norm > max_norm * flow.weight * (1 + 1e-9):
        message = f"{peer!r} sent totals of norm {norm:.3g} for the weight {flow.weight:.3g}"
        raise MessageError(message, peer=peer, reason="norm")


def decode_state(
    payload: memoryview, codec: Codec, spec: AdapterSpec, reference: AdapterState | None, *, peer: str
) -> AdapterState:
    """Decodes a payload of checked size; the state's numbers are still to be checked.

    Args:
        reference: what it is a difference to; None: to nothing.

    Raises:
        MessageError: reason payload.
    """
    try:
        # what is no number is found when the state is checked, and need not be warned of
        with np.errstate(invalid="ignore", over="ignore"):
            if reference is not None:
                return added(reference, codec, payload)
            return AdapterState(spec, codec.decode(payload, spec))
    except ValueError as error:
        raise MessageError(
            f"{peer!r} sent bytes that {codec.name} cannot decode: {error}", peer=peer, reason="payload"
        ) from error
