"""Sums of numbers that nobody may see one by one: fixed point in a ring, where addition never rounds.

    x ── · weight · 2^scale_bits, to the nearest ──> integer mod 2^bits ── + … + ──> integer
    integer ── ÷ (Σ weights · 2^scale_bits) ──> weighted mean

A mask is any other integer mod 2^bits: what is added and later taken away leaves no trace. A sum wraps where it is
larger than the ring; so values have a public bound, and (senders + 1) · bound · 2^scale_bits stays below 2^(bits-1).
Source: Bonawitz et al., Practical secure aggregation (2017).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gossipfl.state import Float32Vector

Words = NDArray[Any]
"""Integers of a ring: uint32 or uint64."""
_BLOCK = 1 << 15
"""Values at a time: all that is done to them happens in the cache."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A ring and what its integers stand for.

    Attributes:
        bits: sums are modulo 2^bits.
        scale_bits: values are multiples of 2^-scale_bits.
        bound: magnitude that no value exceeds.
    """

    bits: Literal[32, 64]
    scale_bits: int
    bound: float

    @property
    def words(self) -> np.dtype[Any]:
        """Of integers in memory and on the wire, little-endian."""
        return np.dtype(f"<u{self.bits // 8}")

    def holds(self, senders: int) -> bool:
        """Whether no sum of that many can wrap."""
        return (senders + 1) * self.bound * 2.0**self.scale_bits < 2.0 ** (self.bits - 1)

    def encode(self, values: Float32Vector, weight: float) -> Words | None:
        """The values, weighted, as integers, off by half a unit at most; None: one is beyond the bound, or no number.

        Args:
            weight: from 0 to 1.
        """
        integers = np.empty(values.size, self._signed)
        factor = np.float64(weight * 2.0**self.scale_bits)
        for place in _blocks(values.size):
            block = values[place]
            # written so that NaN is beyond it
            if not (-self.bound <= block.min() and block.max() <= self.bound):
                return None
            integers[place] = np.rint(block * factor)
        return integers.view(self.words)

    def mean(self, total: Words, weight: float, senders: int) -> Float32Vector | None:
        """The weighted mean that a sum stands for; None: no values within the bound can have made it.

        Args:
            total: sum of `senders` encodings, masks gone.
            weight: sum of their weights.
        """
        integers, divisor = total.view(self._signed), weight * 2.0**self.scale_bits
        most = self.bound * divisor + senders
        mean = np.empty(total.size, np.float32)
        for place in _blocks(total.size):
            block = integers[place]
            if block.min() < -most or block.max() > most:
                return None
            mean[place] = block / divisor
        return mean

    @property
    def _signed(self) -> np.dtype[Any]:
        return np.dtype(f"<i{self.bits // 8}")


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK))
