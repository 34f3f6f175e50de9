"""What a rule about unequal work knows of a phase."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A training phase that is over.

    Attributes:
        steps: optimizer steps it took, at least 1; public: they are in every header.
        common: steps of a phase that everybody's work is to count as.
        momentum: ρ of sgd where each phase begins without any; else 0.
    """

    steps: int
    common: int
    momentum: float


Factor = Callable[[Phase], float]
"""What the increment of a phase is multiplied by; how a rule's file offers itself to the table."""
