"""What nodes exchange: one flat fp32 vector with named segments.

    vector  [ segment 0 | segment 1 | … | segment k ]        what is shared, then what is private
    spec      name, shape, shared or private, in this order

A state is a value: its vector is read-only, every operation returns a new state. It forms a vector space (`+`, `-`,
`* scalar`, `abs` for the Euclidean norm), which is all that the protocols ask of what they exchange. What comes from
another node is the shared part of a state: added to a whole one, or moved toward, it leaves the private part alone.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from gossipfl.errors import ModelError

Float32Vector = NDArray[np.float32]
_BLOCK = 8192
"""Values of a norm at a time: in the cache, and BLAS starts no threads, which would spin (it does from 10,000)."""
_ENTRY_BLOCK = 1 << 14
"""Values of each of several states at a time: all of them together stay in the cache."""
_MIX_BLOCK = 1 << 18
"""Values of a weighted sum at a time: no BLAS in it, and few enough calls to run at the speed of memory."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One named tensor inside the flat vector.

    Attributes:
        name: unique within its spec, for example `encoder.layer.0.attention.self.query.core_R`.
        shape: the tensor's shape; row-major order in the vector.
        shared: exchanged with peers; a private segment never leaves the node.
    """

    name: str
    shape: tuple[int, ...]
    shared: bool = True

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class AdapterSpec:
    """The layout of an adapter: which segments, in which order."""

    segments: tuple[Segment, ...]

    @cached_property
    def size(self) -> int:
        """Number of values of a state with this spec."""
        return sum(segment.size for segment in self.segments)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, shapes and sharing, as hex: equal specs on two machines give equal digests."""
        rows = [[segment.name, list(segment.shape), segment.shared] for segment in self.segments]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each segment lies in the vector, by name."""
        places, start = {}, 0
        for segment in self.segments:
            places[segment.name] = slice(start, start + segment.size)
            start += segment.size
        return places

    def shared(self) -> "AdapterSpec":
        """The spec of what is exchanged: the shared segments only; itself where all are."""
        return self if self._shared is None else self._shared

    @cached_property
    def _shared(self) -> "AdapterSpec | None":
        shared = tuple(segment for segment in self.segments if segment.shared)
        if shared != self.segments[: len(shared)]:
            raise ValueError("the private segments of a spec come last")
        return None if len(shared) == len(self.segments) else AdapterSpec(shared)


@dataclass(frozen=True, eq=False)
class AdapterState:
    """A point in adapter space.

    Attributes:
        spec: the layout.
        vector: (spec.size,) fp32, read-only; owned by the state.
    """

    spec: AdapterSpec
    vector: Float32Vector

    def __post_init__(self) -> None:
        if self.vector.dtype != np.float32 or self.vector.shape != (self.spec.size,):
            raise ModelError(
                f"an adapter vector of {self.spec.size} fp32 values was expected, "
                f"not {self.vector.shape} of {self.vector.dtype}"
            )
        self.vector.setflags(write=False)

    def __add__(self, other: Self, /) -> Self:
        if other.vector.size != self.vector.size:
            return self._with(self.sharing() + other)
        return type(self)(self.spec, self.vector + other.vector)

    def __sub__(self, other: Self, /) -> Self:
        if other.vector.size != self.vector.size:
            return self._with(self.sharing() - other)
        return type(self)(self.spec, self.vector - other.vector)

    def __mul__(self, scalar: float, /) -> Self:
        return type(self)(self.spec, self.vector * np.float32(scalar))

    def sharing(self) -> Self:
        """What may be exchanged of it: the shared segments; itself where all are."""
        shared = self.spec.shared()
        return self if shared is self.spec else type(self)(shared, self.vector[: shared.size])

    def _with(self, shared: Self) -> Self:
        """With another shared part."""
        return type(self)(self.spec, np.concatenate([shared.vector, self.vector[shared.vector.size :]]))

    def __abs__(self) -> float:
        """Euclidean norm; it does not overflow for finite fp32 values. Computed once."""
        return self._norm

    @cached_property
    def _norm(self) -> float:
        squares = self._squares()
        # squares out of the range of fp32, or NaN: again with every number in float64
        return math.sqrt(squares if 1e-20 < squares < math.inf else self._exact_squares())

    def _squares(self) -> float:
        """Sum of squares, each block's in fp32 and that of the blocks in float64."""
        whole = self.vector.size - self.vector.size % _BLOCK
        rest = self.vector[whole:]
        with np.errstate(over="ignore"):
            total = float(rest @ rest)
            if whole:
                blocks = self.vector[:whole].reshape(-1, _BLOCK)
                total += float(np.vecdot(blocks, blocks).sum(dtype=np.float64))
        return total

    def _exact_squares(self) -> float:
        """Sum of squares in float64; a block at a time, which takes little memory."""
        blocks = (self.vector[start : start + _BLOCK] for start in range(0, self.spec.size, _BLOCK))
        return sum(float(block @ block) for block in (part.astype(np.float64) for part in blocks))

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal; quick where they are not."""
        if self is other or not isinstance(other, AdapterState):
            return self is other
        places = (slice(start, start + _BLOCK) for start in range(0, self.spec.size, _BLOCK))
        return self.spec == other.spec and all(
            np.array_equal(self.vector[place], other.vector[place]) for place in places
        )

    __hash__ = None  # type: ignore[assignment]  # equal by value of a large array: not a key

    def segment(self, name: str) -> Float32Vector:
        """A read-only view of one segment, in its own shape."""
        (shape,) = [segment.shape for segment in self.spec.segments if segment.name == name]
        return self.vector[self.spec.slices[name]].reshape(shape)

    def digest(self) -> str:
        """BLAKE3 of the spec's digest and the little-endian bytes of the vector, as hex."""
        vector = self.vector.astype("<f4", copy=False)
        return blake3(self.spec.digest.encode()).update(vector.data.cast("B")).hexdigest()

    @classmethod
    def weighted_sum(cls, terms: Sequence[tuple[float, Self]]) -> Self:
        """Sum of weight times state over at least one term; one new vector, no temporary for each term."""
        (weight, first), *rest = terms
        total = np.empty_like(first.vector)
        scratch = np.empty(min(_MIX_BLOCK, total.size), np.float32)
        for start in range(0, total.size, _MIX_BLOCK):
            place = slice(start, start + _MIX_BLOCK)
            block = total[place]
            product = scratch[: block.size]
            # a factor of 1 or -1, as in a difference, needs no product
            whole = weight == 1.0 and bool(rest)
            sofar = first.vector[place] if whole else np.multiply(first.vector[place], np.float32(weight), out=block)
            for factor, state in rest:
                part = state.vector[place]
                if factor == 1.0:
                    sofar = np.add(sofar, part, out=block)
                elif factor == -1.0:
                    sofar = np.subtract(sofar, part, out=block)
                else:
                    sofar = np.add(sofar, np.multiply(part, np.float32(factor), out=product), out=block)
        return cls(first.spec, total)

    def toward(self, terms: Sequence[tuple[float, Self]]) -> Self:
        """Self plus the sum of weight times (state - self): a weighted mean that leaves equal states exactly alike.

        Two states that move toward each other by one weight keep their sum, up to the rounding of the addition. The
        plain weighted sum multiplies it by the sum of the rounded weights: 1 + 3e-8 for three of 1/3, in every round.
        Differences of one weight are added up before they are weighed: two passes over memory each instead of three.
        """
        if not terms:
            return self
        if terms[0][1].vector.size != self.vector.size:
            return self._with(self.sharing().toward(terms))
        alike: dict[float, list[Float32Vector]] = {}
        for weight, state in terms:
            alike.setdefault(weight, []).append(state.vector)
        total = np.empty_like(self.vector)
        scratch = np.empty((2, min(_MIX_BLOCK, total.size)), np.float32)
        for start in range(0, total.size, _MIX_BLOCK):
            place = slice(start, start + _MIX_BLOCK)
            own = sofar = self.vector[place]
            for weight, vectors in alike.items():
                step = _differences([vector[place] for vector in vectors], own, scratch[:, : own.size])
                np.multiply(step, np.float32(weight), out=step)
                sofar = np.add(sofar, step, out=total[place])
        return type(self)(self.spec, total)

    def distance(self, other: Self) -> float:
        """Euclidean distance to another; no vector is made. As exact as `abs`, and does not overflow either."""
        places = (slice(start, start + _BLOCK) for start in range(0, self.vector.size, _BLOCK))
        scratch = np.empty(min(_BLOCK, self.vector.size), np.float32)
        total = 0.0
        with np.errstate(over="ignore"):
            for place in places:
                block = self.vector[place]
                step = np.subtract(block, other.vector[place], out=scratch[: block.size])
                total += float(step @ step)
        # squares out of the range of fp32: again with every number in float64
        return math.sqrt(total) if 1e-20 < total < math.inf else abs(self - other)

    @classmethod
    def entrywise(cls, states: Sequence[Self], combine: Callable[[list[Float32Vector]], Float32Vector]) -> Self:
        """Made of the entries of at least one state, a block at a time.

        Args:
            combine: makes a block of as many blocks as there are states, which it may write over.
        """
        made = np.empty_like(states[0].vector)
        for start in range(0, made.size, _ENTRY_BLOCK):
            place = slice(start, start + _ENTRY_BLOCK)
            made[place] = combine([state.vector[place].copy() for state in states])
        return cls(states[0].spec, made)

    @classmethod
    def zeros(cls, spec: AdapterSpec) -> Self:
        """The origin of the space."""
        return cls(spec, np.zeros(spec.size, np.float32))


def _differences(vectors: Sequence[Float32Vector], own: Float32Vector, scratch: Float32Vector) -> Float32Vector:
    """Sum of vector - own over at least one vector, in the first row of `scratch` (2, size)."""
    total: Float32Vector = scratch[0]
    step = scratch[1]
    np.subtract(vectors[0], own, out=total)
    for vector in vectors[1:]:
        np.add(total, np.subtract(vector, own, out=step), out=total)
    return total
