"""How long to wait for an answer: learned from the answers there were.

    err = trip − mean,   mean += err / 8,   deviation += (|err| − deviation) / 4,   wait = mean + 4 · deviation

Every answer names the question it answers, so a late one is counted for what it is and no sample is ambiguous (Karn).
Sources: Jacobson & Karels (1988); RFC 6298.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

UNKNOWN_S = 1.0
"""Wait before the first answer (RFC 6298)."""
LONGEST_S = 60.0
"""No wait is longer: a member that answers late on purpose delays what is found of itself only, and by this."""


@dataclass(frozen=True, slots=True)
class Trips:
    """Round trips to one member.

    Attributes:
        mean_s, deviation_s: smoothed.
    """

    mean_s: float
    deviation_s: float

    @classmethod
    def first(cls, trip_s: float) -> "Trips":
        """After one answer."""
        return cls(trip_s, trip_s / 2)

    def after(self, trip_s: float) -> "Trips":
        """After another."""
        error_s = trip_s - self.mean_s
        return Trips(self.mean_s + error_s / 8, self.deviation_s + (abs(error_s) - self.deviation_s) / 4)

    @property
    def wait_s(self) -> float:
        """After which an answer is late."""
        return min(LONGEST_S, self.mean_s + 4 * self.deviation_s)


def typical_wait_s(known: Iterable[Trips]) -> float:
    """The median: a minority that is slow, or pretends to be, does not change anybody's pace. 0 before any answer."""
    waits = [trips.wait_s for trips in known]
    return median(waits) if waits else 0.0
