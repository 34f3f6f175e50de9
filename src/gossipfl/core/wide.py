"""Sums in float64 of vectors in whatever precision they travel.

    wide ← wide + factor · vector          narrowed: wide / weight, in the vectors' own precision

Sums that are kept over thousands of messages, and of which differences are taken, must not lose what fp32 would.
"""

from dataclasses import dataclass
from typing import Any, Generic, cast

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.vector import P
from gossipfl.state import AdapterSpec, AdapterState

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Wide(Generic[P]):
    """A sum of vectors.

    Attributes:
        values: (spec.size,), or one number where the vectors are numbers; never changed.
        spec: of adapter states; None of numbers.
    """

    values: Values | float
    spec: AdapterSpec | None = None

    def plus(self, factor: float, point: P) -> "Wide[P]":
        """With a multiple of a vector added."""
        # widened before it is multiplied: a product of fp32 would be rounded to fp32
        return Wide(self.values + np.multiply(_values(point), factor, dtype=np.float64), self.spec)

    def added(self, other: "Wide[P]") -> "Wide[P]":
        """With another sum added."""
        return Wide(self.values + other.values, self.spec)

    def moved(self, before: "Wide[P]", after: "Wide[P]") -> "Wide[P]":
        """With the difference of two sums added."""
        step = cast("Values", after.values) - before.values
        step += self.values
        return Wide(step, self.spec)

    def over(self, weight: float) -> P:
        """The sum divided by a weight, as a vector of the kind that was added."""
        values = self.values / weight
        if self.spec is None:
            return cast("P", float(values))
        return cast("P", AdapterState(self.spec, cast("Values", values).astype(np.float32)))

    def zero(self) -> "Wide[P]":
        """The empty sum of such vectors."""
        return Wide(0.0 if self.spec is None else np.zeros(self.spec.size), self.spec)

    @classmethod
    def nothing(cls, point: P) -> "Wide[P]":
        """The empty sum of vectors like this one."""
        spec = point.spec if isinstance(point, AdapterState) else None
        return cls(0.0 if spec is None else np.zeros(spec.size), spec)

    @property
    def is_finite(self) -> bool:
        """Whether every value is a number."""
        return bool(np.isfinite(self.values).all())

    def __eq__(self, other: object) -> bool:
        """Whether all values are equal."""
        return self is other or (isinstance(other, Wide) and bool(np.array_equal(self.values, other.values)))

    __hash__ = None  # type: ignore[assignment]  # equal by value of a large array: not a key

    def __abs__(self) -> float:
        """Euclidean norm."""
        return float(np.linalg.norm(self.values))


def widened(point: P) -> Wide[P]:
    """A vector as a sum of one."""
    spec = point.spec if isinstance(point, AdapterState) else None
    values = _values(point)
    return Wide(float(values) if spec is None else values.astype(np.float64), spec)


def _values(point: Any) -> Any:  # noqa: ANN401  # a state's array, or the number itself
    return point.vector if isinstance(point, AdapterState) else point
