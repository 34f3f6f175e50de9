"""How long and how much: every wait of the network has a bound here."""

import random
from dataclasses import dataclass

from gossipfl.config.limits import LimitsConfig

CHUNK_BYTES = 1 << 20
"""Payload bytes in one frame; far below gRPC's default message limit of 4 MiB, which is never raised."""
CONTROL_BYTES = 1 << 18
"""Largest frame that is no chunk: a Hello with its sketch and certificate fits many times."""
STREAMS_PER_PEER = 4
"""Links of one peer at once: the one in use, one being replaced, and their successors."""
_USUAL = LimitsConfig()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one transport.

    Attributes:
        message_timeout_s: one message must be sent, or received, within this.
        max_norm: largest Euclidean norm of a received state.
        connect_timeout_s: TCP, TLS and greeting together.
        backoff_s: longest wait before the second attempt to dial; doubles with every failure.
        max_backoff_s: longest wait between two attempts; the wait is drawn evenly from 0 to the current longest.
        refused_s: wait after a peer that runs another experiment.
        keepalive_s: silence after which the peer is asked for a sign of life, and how long it has to give it.
        close_s: what closing may take.
        idle_s: a connection that carries no call for so long is closed.
        bytes_per_s, messages_per_s, calls_per_s, calls_at_once, connections, waiting: see `LimitsConfig`.
    """

    message_timeout_s: float = 60.0
    max_norm: float = 1e4
    connect_timeout_s: float = 10.0
    backoff_s: float = 0.2
    max_backoff_s: float = 15.0
    refused_s: float = 30.0
    keepalive_s: float = 8.0
    close_s: float = 1.0
    idle_s: float = 300.0
    bytes_per_s: int = _USUAL.bytes_per_s
    messages_per_s: int = _USUAL.messages_per_s
    calls_per_s: int = _USUAL.calls_per_s
    calls_at_once: int = _USUAL.calls_at_once
    connections: int = _USUAL.connections
    waiting: int = _USUAL.waiting

    def pause_s(self, attempt: int) -> float:
        """How long to wait before an attempt: even in [0, min(max_backoff_s, backoff_s · 2^attempt)]."""
        longest = min(self.max_backoff_s, self.backoff_s * 2 ** min(attempt, 20))
        return random.uniform(0.0, longest)  # noqa: S311  # spreads load, hides nothing
