"""One node as its world sees it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.attacks import Liar
from gossipfl.core.events import Train
from gossipfl.core.messages import Receipt
from gossipfl.core.protocol import Protocol
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P
from gossipfl.protection.letters import Guard


@dataclass(slots=True)
class Body(Generic[P]):
    """A node's protocol and everything around it; all of it can be pickled.

    Attributes:
        protocol: the state machine of this life.
        durable: what the last checkpoint holds.
        life: restarts so far.
        up: it runs.
        finished: its protocol has finished.
        training: the phase under way.
        resting: it has rested before that phase, or still does.
        took_s: what its last phase took in this life.
        lost: receipt of the last phase that a kill has undone.
        timers: token of the newest timer of each name.
        bytes_sent: encoded, of what was put on its lines.
        rejected: messages dropped, by reason.
        guard: of this life; None where states travel as they are.
        liar: of an attacker, from its first message on.
    """

    protocol: Protocol[P]
    durable: Snapshot[P]
    life: int = 0
    up: bool = True
    finished: bool = False
    training: Train[P] | None = None
    resting: bool = False
    took_s: float = 0.0
    lost: Receipt = field(default_factory=Receipt)
    timers: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    guard: Guard[P] | None = None
    liar: Liar[P] | None = None

    @property
    def snapshot(self) -> Snapshot[P]:
        """As it is now; of a node that is down as it was last."""
        return self.protocol.snapshot

    @property
    def epsilon(self) -> float:
        """Spent by its data: what is in its state, and what a kill has undone."""
        return max(self.snapshot.receipt.epsilon, self.lost.epsilon)
