"""low_rank: each matrix as a product of two thin ones, one power step a message from where the last one ended.

    M (m, n):  P = orth(M·Q)   (m, r)      Q = Mᵀ·P   (n, r)      M̂ = P·Qᵀ      payload: P | Q, segment after segment

Segments that it would not make smaller go as they are. M̂ is the projection of M on the span of P: ‖M − M̂‖ ≤ ‖M‖.
Sources: Vogels, Karimireddy & Jaggi (2019), PowerSGD; the same (2020), PowerGossip.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.codecs.seam import Payload, Stream, expect, one
from gossipfl.state import AdapterSpec, Float32Vector, Segment

Matrix = NDArray[np.float32]


class LowRank:
    """Products of rank `rank`."""

    exact = False

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self.name = f"low_rank:{rank}"

    def encode(self, values: Float32Vector, spec: AdapterSpec, stream: Stream) -> Payload:
        """Factors of each segment; the right ones are where the next message begins."""
        parts = []
        for segment in spec.segments:
            own = values[spec.slices[segment.name]]
            if shape := self._matrix(segment):
                parts += self._factors(own.reshape(shape), segment.name, stream)
            else:
                parts.append(own)
        return b"".join(part.astype("<f4", copy=False).tobytes() for part in parts)

    def decode(self, payload: memoryview, spec: AdapterSpec) -> Float32Vector:
        """Products of the factors."""
        expect(payload, self.sizes(spec), self.name)
        numbers, values, start = np.frombuffer(payload, "<f4"), np.empty(spec.size, np.float32), 0
        for segment in spec.segments:
            place = spec.slices[segment.name]
            if shape := self._matrix(segment):
                left, right = shape[0] * self._rank, shape[1] * self._rank
                factors = numbers[start : start + left + right]
                product = factors[:left].reshape(-1, self._rank) @ factors[left:].reshape(-1, self._rank).T
                values[place] = product.reshape(-1)
                start += left + right
            else:
                values[place] = numbers[start : start + segment.size]
                start += segment.size
        return values

    def sizes(self, spec: AdapterSpec) -> range:
        """One."""
        return one(4 * sum(self._counts(spec)))

    def _counts(self, spec: AdapterSpec) -> Iterator[int]:
        for segment in spec.segments:
            shape = self._matrix(segment)
            yield self._rank * sum(shape) if shape else segment.size

    def _matrix(self, segment: Segment) -> tuple[int, int] | None:
        """Rows and columns of a segment that factors make smaller."""
        if len(segment.shape) < 2:  # a vector
            return None
        rows, columns = segment.shape[0], math.prod(segment.shape[1:])
        return (rows, columns) if self._rank * (rows + columns) < rows * columns else None

    def _factors(self, matrix: Matrix, name: str, stream: Stream) -> list[Matrix]:
        begin = stream.memory.get(name)
        if begin is None:
            begin = stream.rng.standard_normal((matrix.shape[1], self._rank), dtype=np.float32)
        left, _ = np.linalg.qr(matrix @ begin)
        right = matrix.T @ left
        # of a matrix of zeros nothing can be learned for the next
        if right.any():
            stream.memory[name] = right
        return [left, right]
