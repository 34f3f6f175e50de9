"""The seam of what travels: a codec turns a state into bytes and back.

    encode(state, reference) -> (payload, decoded)      decode(payload, spec, reference) -> decoded

The reference is the last state that both ends of an edge hold; a codec of differences needs it, others ignore it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gossipfl.config.experiment import GossipConfig
from gossipfl.state import AdapterSpec, AdapterState


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded state.

    Attributes:
        payload: the bytes to send; may share memory with the state it came from, which is read-only.
        decoded: what the receiver will see; the state itself for a codec without loss.
    """

    payload: bytes | memoryview
    decoded: AdapterState


class Codec(Protocol):
    """How a state travels."""

    @property
    def name(self) -> str:
        """As in configuration and envelope."""
        ...

    def encode(self, state: AdapterState, reference: AdapterState | None) -> Encoded:
        """The state as bytes, and as the receiver will see it."""
        ...

    def decode(self, payload: memoryview, spec: AdapterSpec, reference: AdapterState | None) -> AdapterState:
        """The state the bytes stand for; it may keep using the payload's memory, which must not change any more.

        Raises:
            ValueError: the payload is no encoding of a state with this spec.
        """
        ...

    def expected_bytes(self, spec: AdapterSpec) -> int:
        """Typical size of a payload; the exact one when it equals `largest_bytes`."""
        ...

    def largest_bytes(self, spec: AdapterSpec) -> int:
        """No payload is larger: the receiver checks it before it keeps a byte."""
        ...


BuildCodec = Callable[[GossipConfig], Codec]
"""How a codec's file offers itself to the table."""
