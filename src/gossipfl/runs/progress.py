"""How far a run is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        rounds: exchange rounds, mean over the nodes.
        steps: optimizer steps of all nodes; without training, exchange rounds.
        virtual_s: seconds of virtual time.
        seconds: real ones so far.
        left_s: real seconds left, if rounds go on as they have; None at the start, and beyond the rounds planned.
    """

    rounds: float
    steps: int
    virtual_s: float
    seconds: float
    left_s: float | None
