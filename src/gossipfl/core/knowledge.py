"""What an observer can solve for: gossip's messages as linear equations in what nodes have contributed.

    message = Σ_u c_u · contribution_u        c: known to everybody, from graph, weights and who mixed what when
    C · x = m, stacked over all an observer has received; x_u is determined when e_u lies in the row space of C

The worst case: coefficients without rounding, values in float64, nothing else of the contributions known.
Source: the knowledge matrices of Pasquini, Raynal & Troncoso (2022), Mrini, Cyffers & Bellet (2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SMALLEST = 1e-12
"""Singular values below this part of the largest are rounding."""
INSIDE = 1e-8
"""What of a unit vector may lie outside of the row space of equations that determine its unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """A sum of contributions: what gossip exchanges here.

    Attributes:
        coefficients: (unknowns,) of each contribution.
        value: what the sum comes to.
    """

    coefficients: Floats
    value: float

    @classmethod
    def zero(cls, unknowns: int) -> "Combination":
        """The empty sum."""
        return cls(np.zeros(unknowns), 0.0)

    @classmethod
    def of_one(cls, unknown: int, unknowns: int, value: float) -> "Combination":
        """One contribution by itself."""
        return cls(np.eye(1, unknowns, unknown)[0], value)

    def __add__(self, other: "Combination") -> "Combination":
        return Combination(self.coefficients + other.coefficients, self.value + other.value)

    def __sub__(self, other: "Combination") -> "Combination":
        return Combination(self.coefficients - other.coefficients, self.value - other.value)

    def __mul__(self, scalar: float) -> "Combination":
        return Combination(self.coefficients * scalar, self.value * scalar)

    def __abs__(self) -> float:
        return float(np.linalg.norm(self.coefficients))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Combination):
            return NotImplemented
        return self.value == other.value and bool(np.array_equal(self.coefficients, other.coefficients))

    __hash__ = None  # type: ignore[assignment]  # equal by value of an array: not a key


@dataclass(frozen=True, slots=True)
class Solution:
    """What follows from some equations.

    Attributes:
        determined: (unknowns,) whether the equations leave one value only.
        estimates: (unknowns,) that value; elsewhere the smallest that fits.
    """

    determined: NDArray[np.bool_]
    estimates: Floats


def solve(equations: Sequence[Combination], unknowns: int) -> Solution:
    """Least squares over all equations, and which unknowns they determine; O(equations · unknowns²)."""
    if not equations:
        return Solution(np.zeros(unknowns, bool), np.zeros(unknowns))
    matrix = np.stack([equation.coefficients for equation in equations])
    values = np.array([equation.value for equation in equations])
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    kept = sizes > SMALLEST * max(sizes[0], np.finfo(float).tiny)
    left, sizes, right = left[:, kept], sizes[kept], right[kept]
    inside = (right**2).sum(axis=0)
    return Solution(1.0 - inside < INSIDE, right.T @ ((left.T @ values) / sizes))
