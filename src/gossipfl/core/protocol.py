"""The seam between a gossip protocol and whoever drives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic
from typing import Protocol as Seam

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Effect, Event
from gossipfl.core.messages import Clear, Pack, Packet
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P


class Protocol(Seam[P]):
    """A node's side of gossip as a state machine without I/O.

    Guarantees:
        Deterministic: equal events at equal times give equal effects.
        `handle` never blocks and never raises for what a peer did.
    """

    def handle(self, event: Event[P], now: float) -> list[Effect[P]]:
        """Effects of an event at time `now` (seconds, any origin, never going back), in the order to perform them."""
        ...

    @property
    def snapshot(self) -> Snapshot[P]:
        """The durable part of the machine's state, as it is now."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One node's part in one exchange round.

    Attributes:
        weights: weight of each contribution to this node, own name among them; sums to 1.
        receivers: whom this node sends to.
    """

    weights: Mapping[str, float]
    receivers: tuple[str, ...]


class Schedule(Seam):
    """Who talks to whom in which round, and with which weights."""

    @property
    def version(self) -> int:
        """Of the topology; nodes with another one are not mixed with."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node, in the order of peers.yaml."""
        ...

    @property
    def period(self) -> int | None:
        """Rounds after which it repeats, 1 of a static one; None: never, every round is drawn anew."""
        ...

    @property
    def contraction(self) -> float | None:
        """By what E Σ|x − x̄|² is multiplied in a round at most, of one without period; None of one with."""
        ...

    def row(self, node: str, round: int) -> Row:
        """The node's part in a round, from 0; in O(degree). A node that rests has itself alone and no receivers."""
        ...

    def neighbors(self, node: str) -> tuple[str, ...]:
        """Everybody this node ever exchanges with, sorted: the links to keep open."""
        ...

    def digest(self) -> str:
        """SHA-256 over nodes, edges and weights, as hex: equal on two machines when the schedules are."""
        ...


class Mixing(Seam[P]):
    """How contributions become the new state."""

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:
        """New own state from (weight, state) by neighbor; all weights, own among them, sum to 1."""
        ...


def as_it_is() -> Pack[P]:
    """A packer without a codec: states travel as they are."""
    return lambda content: Packet(content, content.state)


@dataclass(frozen=True, slots=True)
class Parts(Generic[P]):
    """What every protocol is built from.

    Attributes:
        name: this node.
        schedule: who talks to whom.
        mixing: how contributions combine.
        gossip: settings from experiment.yaml.
        phases: training phases to do.
        local_steps: optimizer steps a phase.
        clear: makes a state publishable.
        snapshot: where to start or go on.
        packer: makes what encodes a stream of publications in one life.
        seed: of what nodes draw for themselves.
        sums_only: neighbors' states cannot be read one by one: `Heard` and `Summed` come instead of `Received`.
    """

    name: str
    schedule: Schedule
    mixing: Mixing[P]
    gossip: GossipConfig
    phases: int
    local_steps: int
    clear: Clear[P]
    snapshot: Snapshot[P]
    packer: Callable[[], Pack[P]] = as_it_is
    seed: int = 0
    sums_only: bool = False


Build = Callable[[Parts[P]], Protocol[P]]
"""How a protocol's file offers itself to the table."""
