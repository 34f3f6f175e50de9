"""What happens to a node and what it wants done: the vocabulary between a protocol and its driver.

    driver ── Event ──> Protocol.handle(event, now) ── [Effect, …] ──> driver

`P` is what nodes exchange: an `AdapterState` in production, a `float` in property tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.mass import Flow
from gossipfl.core.messages import Crossing, Header, Packet, Publishable, Receipt
from gossipfl.core.schedule import Schedule
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P

# ---- events ----


@dataclass(frozen=True, slots=True)
class Started:
    """The driver is ready; first event of every life of the node, also after a crash."""


@dataclass(frozen=True, slots=True)
class Trained(Generic[P]):
    """A `Train` effect was carried out.

    Attributes:
        version: that of the `Train` it answers.
        state: where training from the snapshot of that `Train` has led; a protocol adds the difference.
        steps: optimizer steps done; fewer than asked when the budget ran out, or the seconds.
        units: privacy units drawn on average (the expected batch), never the realised number.
        receipt: covers all own steps including these.
        exhausted: no further step can be paid for.
        start: where training began, if not at the snapshot of that `Train`: the node had rested before, and mixed.
    """

    version: int
    state: P
    steps: int
    units: float
    receipt: Receipt
    exhausted: bool = False
    start: P | None = None


@dataclass(frozen=True, slots=True)
class Received(Generic[P]):
    """A valid, new message arrived; the driver has checked sender, size, finiteness and sequence.

    Attributes:
        flow: all that ever crossed this edge, of protocols that keep books of it.
    """

    sender: str
    state: P
    header: Header
    flow: Flow[P] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A new message arrived whose state cannot be read: see `Summed`, or its numbers are no state.

    Attributes:
        contributes: the sender's state of this round is in the sum; else it sits the round out.
    """

    sender: str
    header: Header
    contributes: bool = True


@dataclass(frozen=True, slots=True)
class Summed(Generic[P]):
    """What all senders of a round contributed, together; every one of them was `Heard` before.

    Attributes:
        round: as their headers have it.
        mean: their weighted mean; None: their contributions do not belong together and never will.
    """

    round: int
    mean: P | None


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A `Send` could not be delivered."""

    receiver: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by `SetTimer` came due."""

    name: str


@dataclass(frozen=True, slots=True)
class ScheduleTick:
    """The topology's schedule moved to another round by the outside clock."""

    round: int


@dataclass(frozen=True, slots=True)
class NeighborUp:
    """A link to a neighbor is open."""

    name: str


@dataclass(frozen=True, slots=True)
class NeighborDown:
    """The link to a neighbor is lost."""

    name: str


@dataclass(frozen=True, slots=True)
class Rewired:
    """Who is up has changed, and with it who talks to whom: another static schedule from now on."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Stopped:
    """The driver stops: last chance to checkpoint."""


Event = (
    Started
    | Trained[P]
    | Received[P]
    | Heard
    | Summed[P]
    | SendFailed
    | TimerFired
    | ScheduleTick
    | NeighborUp
    | NeighborDown
    | Rewired
    | Stopped
)


# ---- effects: carried out in list order; a Checkpoint is durable before a Send behind it ----


@dataclass(frozen=True, slots=True)
class Train(Generic[P]):
    """Train from `snapshot`; answer with `Trained` of the same version. At most one is under way.

    Attributes:
        version: number of the training phase.
        snapshot: where to start.
        first_step: global index of the first optimizer step, for schedules and seeded streams.
        steps: optimizer steps wished.
        seconds: after which it is over, if it is not by then; with one step done at least. None: whenever it is.
    """

    version: int
    snapshot: P
    first_step: int
    steps: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Send(Generic[P]):
    """Publish to one neighbor.

    Attributes:
        packet: the publication.
        replaceable: a newer `Send` to the same receiver may replace this one while it has not left; `sync` says no,
            since the receiver waits for every round.
        crossing: of protocols that keep books of what crosses edges.
    """

    receiver: str
    packet: Packet[P]
    header: Header
    replaceable: bool = True
    crossing: Crossing[P] | None = None

    @property
    def content(self) -> Publishable[P]:
        """What is published."""
        return self.packet.content


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake the protocol with `TimerFired(name)` after `delay_s`; a new timer of the same name replaces the old."""

    name: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Checkpoint(Generic[P]):
    """Make `snapshot` durable before any later effect."""

    snapshot: Snapshot[P]


@dataclass(frozen=True, slots=True)
class Report:
    """One mixing, for metrics and studies.

    Attributes:
        round, phase, step: as in `Snapshot`, after the mixing.
        weights: weight given to each contribution, own name among them; sums to 1.
        staleness: own phases since each neighbor's contribution arrived, for those mixed or counted absent.
        absent: neighbors of the row that were not mixed; their weight fell to self.
        sources: header of each neighbor's contribution that was mixed: which of its states it was.
        increment_weight: factor on the own training since the mixing before; the own weight where it came first.
    """

    round: int
    phase: int
    step: int
    weights: Mapping[str, float]
    staleness: Mapping[str, int]
    absent: tuple[str, ...]
    sources: Mapping[str, Header] = field(default_factory=dict)
    increment_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Finish:
    """All steps are done and nobody needs this node any more; a serving node ignores it."""


Effect = Train[P] | Send[P] | SetTimer | Checkpoint[P] | Report | Finish
