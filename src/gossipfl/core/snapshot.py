"""What a protocol needs to go on after a crash."""

from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.mass import Mass
from gossipfl.core.messages import Receipt
from gossipfl.core.outer import Outer
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[P]):
    """All that a protocol needs to go on after a crash.

    Attributes:
        state: own state.
        unmixed: what training alone has made of the initial state, see `core.protocols.own`; None: it is not kept.
        phase: training phases finished.
        step: optimizer steps finished.
        round: exchange rounds finished.
        receipt: covers `state`.
        exhausted: the privacy budget is spent; mixing and serving go on.
        settle_rounds: mixing-only rounds done after the last training phase.
        mass: of protocols that keep books of what crosses edges.
        outer: of protocols with an outer step.
    """

    state: P
    unmixed: P | None = None
    phase: int = 0
    step: int = 0
    round: int = 0
    receipt: Receipt = field(default_factory=Receipt)
    exhausted: bool = False
    settle_rounds: int = 0
    mass: Mass[P] | None = None
    outer: Outer[P] | None = None

    @property
    def drift(self) -> P:
        """Sum of what own mixings have added to the network's sum.

        Raises:
            ValueError: `unmixed` is not kept.
        """
        if self.unmixed is None:
            raise ValueError("the drift of this node is not kept")
        if self.mass is not None:
            return self.mass.whole.total.over(1.0) - self.unmixed
        return self.state - self.unmixed
