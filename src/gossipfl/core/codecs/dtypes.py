"""fp32, fp16, bf16: each value by itself, rounded to the nearest.

fp16   10 bits of mantissa, to 65,504: larger ones become the largest       bf16   the upper half of an fp32
"""

import numpy as np

from gossipfl.core.codecs.seam import Payload, Stream, expect, one
from gossipfl.state import AdapterSpec, Float32Vector

_HALF_MAX = np.float32(np.finfo(np.float16).max)


class Plain:
    """Four bytes a value, no loss, no copy."""

    name, exact = "fp32", True

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:  # noqa: ARG002
        """Their own memory."""
        return values.astype("<f4", copy=False).view(np.uint8).data

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Over the payload's memory."""
        expect(payload, self.sizes(spec), self.name)
        return np.frombuffer(payload, "<f4").astype(np.float32, copy=False)

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(4 * spec.size)


class Half:
    """Two bytes a value, IEEE 754 half precision."""

    name, exact = "fp16", False

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:  # noqa: ARG002
        """Rounded; what is out of range becomes the largest that there is."""
        clipped = np.clip(values, -_HALF_MAX, _HALF_MAX)
        return clipped.astype("<f2").view(np.uint8).data

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Exactly those values."""
        expect(payload, self.sizes(spec), self.name)
        return np.frombuffer(payload, "<f2").astype(np.float32)

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(2 * spec.size)


class Brain:
    """Two bytes a value, the range of fp32 and 8 bits of precision."""

    name, exact = "bf16", False

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:  # noqa: ARG002
        """Rounded to the nearest, ties to even; what would round to infinity is cut instead."""
        bits = values.view(np.uint32)
        rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        # an exponent of all ones is infinity
        over = (rounded & np.uint32(0x7F800000)) == np.uint32(0x7F800000)
        upper = np.where(over, bits, rounded) >> np.uint32(16)
        return upper.astype("<u2").view(np.uint8).data

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Exactly those values."""
        expect(payload, self.sizes(spec), self.name)
        upper = np.frombuffer(payload, "<u2").astype(np.uint32)
        return (upper << np.uint32(16)).view(np.float32)

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(2 * spec.size)
