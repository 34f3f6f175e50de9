"""The seam of compression: values to bytes and back, with loss.

    encode(values, spec, stream) -> payload        decode(payload, spec) -> values

What is compressed is a state, or its difference to one that the receiver holds: compression does not know which.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.experiment import GossipConfig
from gossipfl.state import AdapterSpec, Float32Vector

Payload = bytes | memoryview


@dataclass(slots=True)
class Stream:
    """What the sender of one stream of vectors keeps from one to the next; nothing of it is needed to decode.

    Attributes:
        rng: draws roundings and coordinates.
        memory: of codecs that begin where they ended, by segment.
    """

    rng: np.random.Generator
    memory: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Compression(Protocol):
    """How values become few bytes."""

    @property
    def name(self) -> str:
        """As in configuration and envelope."""
        ...

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:
        """The values as bytes; may share their memory.

        Args:
            values: (spec.size,), finite.
        """
        ...

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """What the bytes stand for, (spec.size,); may share their memory. Values need not be finite.

        Raises:
            ValueError: they are no encoding of values with this spec.
        """
        ...

    def largest_bytes(self, spec: AdapterSpec) -> int:
        """No payload is larger: the receiver checks it before it keeps a byte."""
        ...


BuildCompression = Callable[[GossipConfig], Compression]
"""How a compression's file offers itself to the table."""


def expect(payload: memoryview, size: int, what: str) -> None:
    """Refuses a payload of another size.

    Raises:
        ValueError: it has one.
    """
    if payload.nbytes != size:
        raise ValueError(f"{size} bytes of {what} were expected, not {payload.nbytes}")
