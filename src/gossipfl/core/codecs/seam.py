"""The seam of what travels: values to bytes and back, with or without loss.

    encode(values, spec, stream) -> payload        decode(payload, spec) -> values

The values are a state's, or its difference to one that the receiver holds: a codec does not know which, see `packing`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.gossip import GossipConfig
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

    def __getstate__(self) -> tuple[Any, dict[str, NDArray[np.float32]]]:
        """Numbers alone: a checkpoint is read without calling anybody else's code."""
        return self.rng.bit_generator.state, self.memory

    def __setstate__(self, state: tuple[Any, dict[str, NDArray[np.float32]]]) -> None:
        """What `__getstate__` gave."""
        bits = np.random.PCG64()
        bits.state, self.memory = state
        self.rng = np.random.Generator(bits)


class Codec(Protocol):
    """How values become bytes."""

    @property
    def name(self) -> str:
        """As in the envelope: whoever has a codec of this name can decode it."""
        ...

    @property
    def exact(self) -> bool:
        """Nothing is lost."""
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

    def sizes(self, spec: AdapterSpec) -> range:
        """Sizes that a payload can have: the receiver checks it before it keeps a byte."""
        ...


BuildCodec = Callable[[GossipConfig], Codec]
"""How a codec's file offers itself to the table."""


def one(size: int) -> range:
    """Every payload has this size."""
    return range(size, size + 1)


def expect(payload: memoryview, sizes: range, what: str) -> None:
    """Refuses a payload of another size.

    Raises:
        ValueError: it has one.
    """
    if payload.nbytes not in sizes:
        wanted = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        raise ValueError(f"{wanted} bytes of {what} were expected, not {payload.nbytes}")
