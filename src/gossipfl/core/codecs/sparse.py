"""top_k, random_k: some values as they are, zero for the others.

    top_k      those of largest size; payload: bits or gaps | values          a contraction: ‖v − v̂‖² ≤ (1 − k/n) ‖v‖²
    random_k   one of each of k neighboring groups, drawn from a seed that travels; payload: seed | values
               E ‖v − v̂‖² = (1 − k/n) ‖v‖² for groups of one size; times n/k it would be unbiased and no contraction

Positions of top_k: one bit a value, or where that is less two bytes a kept one, the gap to the one before.
Sources: Stich, Cordonnier & Jaggi (2018); Koloskova, Stich & Jaggi (2019).
"""

import math

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.codecs.seam import Payload, Stream, expect, one
from gossipfl.state import AdapterSpec, Float32Vector

_SAMPLE = 1 << 14
"""Values that a threshold is guessed from."""
_BITS, _GAPS = 0, 1
_SEED_BYTES = 8
_FARTHEST = np.iinfo(np.uint16).max
Places = NDArray[np.int64]


def kept(size: int, share: float) -> int:
    """Values of `size` that are kept: at least one."""
    return max(1, math.ceil(size * share)) if size else 0


class TopK:
    """The largest values."""

    exact = False

    def __init__(self, share: float) -> None:
        self._share = share
        self.name = f"top_k:{share:g}"

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:  # noqa: ARG002
        """A byte for the kind of positions, positions, values in their order."""
        places = largest(values, kept(values.size, self._share))
        gaps = np.diff(places, prepend=-1) - 1
        if 2 * places.size < -(-values.size // 8) and gaps.size and gaps.max() <= _FARTHEST:
            kind, where = _GAPS, gaps.astype("<u2").tobytes()
        else:
            marks = np.zeros(values.size, np.bool_)
            marks[places] = True
            kind, where = _BITS, np.packbits(marks).tobytes()
        return bytes([kind]) + where + values[places].astype("<f4", copy=False).tobytes()

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Zeros around those values."""
        count, kind = kept(spec.size, self._share), payload[0] if payload.nbytes else -1
        if kind == _GAPS:
            expect(payload, one(1 + 6 * count), self.name)
            places = np.cumsum(np.frombuffer(payload[1 : 1 + 2 * count], "<u2").astype(np.int64) + 1) - 1
        elif kind == _BITS:
            end = 1 + -(-spec.size // 8)
            expect(payload, one(end + 4 * count), self.name)
            places = np.flatnonzero(np.unpackbits(np.frombuffer(payload[1:end], np.uint8), count=spec.size))
        else:
            raise ValueError(f"{self.name}: positions of kind {kind}")
        if places.size != count or (count and places[-1] >= spec.size):
            raise ValueError(f"{self.name}: {count} positions below {spec.size} were expected")
        values = np.zeros(spec.size, np.float32)
        values[places] = np.frombuffer(payload[payload.nbytes - 4 * count :], "<f4")
        return values

    def sizes(self, spec: AdapterSpec) -> range:
        """From two bytes a position to a bit for every value."""
        count, bits = kept(spec.size, self._share), -(-spec.size // 8)
        return range(1 + min(2 * count, bits) + 4 * count, 1 + bits + 4 * count + 1)


class RandomK:
    """Values at drawn places; who knows the seed knows the places."""

    exact = False

    def __init__(self, share: float) -> None:
        self._share = share
        self.name = f"random_k:{share:g}"

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:
        """The seed, 8 bytes, and the values in the order of their places."""
        seed = int(stream.rng.integers(0, 1 << 63))
        places = self._draw(seed, spec.size)
        return seed.to_bytes(_SEED_BYTES, "little") + values[places].astype("<f4", copy=False).tobytes()

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Zeros around those values."""
        expect(payload, self.sizes(spec), self.name)
        values = np.zeros(spec.size, np.float32)
        places = self._draw(int.from_bytes(payload[:_SEED_BYTES], "little"), spec.size)
        values[places] = np.frombuffer(payload[_SEED_BYTES:], "<f4")
        return values

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(_SEED_BYTES + 4 * kept(spec.size, self._share))

    def _draw(self, seed: int, size: int) -> Places:
        """A place in each group; their sizes differ by one at most.

        Part of the format: of numpy's generators only the raw numbers are the same in every version.
        """
        count = kept(size, self._share)
        bounds = np.arange(count + 1) * size // max(1, count)
        sizes = np.diff(bounds)
        raw = np.random.PCG64(seed).random_raw(count)
        return bounds[:-1] + (raw % sizes.astype(np.uint64)).astype(np.int64)


def largest(values: Float32Vector, count: int) -> Places:
    """Places of the `count` values of largest size, in order.

    A sample tells which values can be among them, so that not all have to be sorted: 10 ms instead of 50 for 1% of
    4.6 million.
    """
    if count >= values.size:
        return np.arange(values.size)
    size = np.abs(values)
    candidates = np.flatnonzero(size >= _surely_below(size, count))
    # the guess was too high
    if candidates.size < count:
        candidates = np.arange(values.size)
    order = np.argpartition(size[candidates], candidates.size - count)[candidates.size - count :]
    return np.sort(candidates[order])


def _surely_below(size: NDArray[np.float32], count: int) -> np.float32:
    """A threshold that most likely more than `count` values reach, and not many more."""
    sample = size[:: max(1, size.size // _SAMPLE)]
    above = min(sample.size, int(1.5 * sample.size * count / size.size) + 8)
    place = sample.size - above
    return np.float32(np.partition(sample, place)[place])
