"""int8, int4: blocks of values share a scale, and each is rounded up or down at random so that its mean is right.

    s = max |v| of the block      q = ⌊v·m/s + u⌋, u uniform in [0, 1)      v̂ = q·s/m      m = 127 or 7
    payload: scales (fp32) | q, a byte each, or two of them in a byte: the first in the lower half

E v̂ = v and |v̂ − v| < s/m. Two ends of an edge that use the same v̂ keep the network's mean whatever the rounding.
Source: Alistarh et al. (2017), QSGD, with the maximum in place of the norm.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.codecs.seam import Payload, Stream, expect, one
from gossipfl.state import AdapterSpec, Float32Vector

BLOCK = 256
"""Values that share a scale: 1.6% of the bytes of int8."""
_PART_BLOCKS = 128
"""Blocks at a time, in the cache."""
_DRAW = np.float32(2.0**-16)
"""u is a multiple of it."""

Codes = NDArray[np.int8]
Number = TypeVar("Number", np.float32, np.int8)


class Blocks:
    """Integers of 4 or 8 bits."""

    def __init__(self, bits: int) -> None:
        self.name = f"int{bits}"
        self.exact = False
        self._bits = bits
        self._largest = np.float32(2 ** (bits - 1) - 1)

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:
        """Scales, then codes."""
        payload = np.empty(self.sizes(spec)[0], np.uint8)
        scales, codes = self._parts(payload, spec)
        scratch = np.empty((_PART_BLOCKS, BLOCK), np.float32)
        for first in range(0, scales.size, _PART_BLOCKS):
            place = slice(first * BLOCK, (first + _PART_BLOCKS) * BLOCK)
            rows = _rows(values[place])
            rounded = self._round(rows, scales[first : first + len(rows)], scratch[: len(rows)], stream)
            self._pack(rounded.reshape(-1)[: values[place].size], codes, place.start)
        return payload.data

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Codes times their block's scale."""
        expect(payload, self.sizes(spec), self.name)
        scales, codes = self._parts(np.frombuffer(payload, np.uint8), spec)
        values = np.empty(scales.size * BLOCK, np.float32)
        # scales of a hostile sender may be no numbers; whoever takes the state refuses what is not finite
        with np.errstate(invalid="ignore", over="ignore"):
            steps = scales / self._largest
            for first in range(0, scales.size, _PART_BLOCKS):
                place = slice(first * BLOCK, (first + _PART_BLOCKS) * BLOCK)
                rows = _rows(self._unpack(codes, place, spec.size))
                out = values[place].reshape(-1, BLOCK)
                np.multiply(rows, steps[first : first + len(rows), None], out=out, casting="unsafe")
        return values[: spec.size]

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(4 * -(-spec.size // BLOCK) + -(-spec.size * self._bits // 8))

    def _parts(self, payload: NDArray[np.uint8], spec: AdapterSpec) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        end = 4 * -(-spec.size // BLOCK)
        return payload[:end].view("<f4"), payload[end:]

    def _round(
        self, rows: NDArray[np.float32], scales: NDArray[np.float32], out: NDArray[np.float32], stream: Stream
    ) -> Codes:
        """Codes of whole blocks, (blocks, BLOCK); writes their scales."""
        np.maximum(rows.max(axis=1), -rows.min(axis=1), out=scales)
        # a block of zeros has no scale; one so small that its inverse overflows counts as zeros
        with np.errstate(divide="ignore", over="ignore"):
            factors = self._largest / scales
        factors[~np.isfinite(factors)] = 0
        np.multiply(rows, factors[:, None], out=out)
        draws = stream.rng.bit_generator.random_raw(rows.size // 4).view(np.uint16).reshape(rows.shape)
        out += np.multiply(draws, _DRAW, dtype=np.float32, casting="unsafe")
        np.floor(out, out=out)
        # a maximum times its own inverse may be a hair above
        return np.clip(out, -self._largest, self._largest, out=out).astype(np.int8)

    def _pack(self, codes: Codes, into: NDArray[np.uint8], start: int) -> None:
        if self._bits == 8:  # a byte
            into[start : start + codes.size] = codes.view(np.uint8)
            return
        pairs = np.resize(codes, codes.size + codes.size % 2).view(np.uint8).reshape(-1, 2)
        into[start // 2 : start // 2 + len(pairs)] = (pairs[:, 0] & 15) | (pairs[:, 1] << 4)

    def _unpack(self, codes: NDArray[np.uint8], place: slice, size: int) -> Codes:
        if self._bits == 8:  # a byte
            return codes[place].view(np.int8)
        both = codes[place.start // 2 : place.stop // 2].view(np.int8)
        values = np.empty((both.size, 2), np.int8)
        # arithmetic shifts keep the sign
        np.right_shift(np.left_shift(both, 4), 4, out=values[:, 0])
        np.right_shift(both, 4, out=values[:, 1])
        return values.reshape(-1)[: max(0, size - place.start)]


def _rows(part: NDArray[Number]) -> NDArray[Number]:
    """Whole blocks, (blocks, BLOCK); the last is filled up with zeros."""
    missing = -part.size % BLOCK
    return (np.pad(part, (0, missing)) if missing else part).reshape(-1, BLOCK)
