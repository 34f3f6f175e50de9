"""The seam between a gossip protocol and whoever drives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic
from typing import Protocol as Seam

from gossipfl.config.gossip import GossipConfig
from gossipfl.core.events import Effect, Event
from gossipfl.core.messages import Clear, Pack, Packet
from gossipfl.core.schedule import Row, Schedule
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P

__all__ = ["Build", "Mixing", "Parts", "Protocol", "Row", "Schedule", "as_done", "as_it_is"]


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


class Mixing(Seam[P]):
    """How contributions become the new state."""

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:
        """New own state from (weight, state) by neighbor; all weights, own among them, sum to 1."""
        ...


def as_it_is() -> Pack[P]:
    """A packer without a codec: states travel as they are."""
    return lambda content: Packet(content, content.state)


def as_done(steps: int) -> float:  # noqa: ARG001  # all phases are alike
    """What is done counts as it is."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Parts(Generic[P]):
    """What every protocol is built from.

    Attributes:
        name: this node.
        schedule: who talks to whom.
        mixing: how contributions combine.
        gossip: settings from experiment.yaml.
        phases: training phases to do.
        local_steps: optimizer steps a phase; with `local_seconds` the most.
        clear: makes a state publishable.
        snapshot: where to start or go on.
        packer: makes what encodes a stream of publications in one life.
        seed: of what nodes draw for themselves.
        sums_only: neighbors' states cannot be read one by one: `Summed` and `Heard` come, never `Received`.
        live: the schedule is of those that are up, and changes with them.
        newcomer: in its first life it begins where its neighbors are, not where everybody began.
        local_seconds: what a phase may take; None: as long as its steps do.
        work: what the increment of a phase of so many steps is multiplied by, see `core.work`.
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
    live: bool = False
    newcomer: bool = False
    local_seconds: float | None = None
    work: Callable[[int], float] = as_done


Build = Callable[[Parts[P]], Protocol[P]]
"""How a protocol's file offers itself to the table."""
