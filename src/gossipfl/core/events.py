"""What happens to a node and what it wants done: the vocabulary between a protocol and its driver.

    driver ── Event ──> Protocol.handle(event, now) ── [Effect, …] ──> driver

`P` is what nodes exchange: an `AdapterState` in production, a `float` in property tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.mass import Flow, Mass
from gossipfl.core.outer import Outer
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger has charged for a state: proof that every training step inside it is paid for.

    Attributes:
        steps: own training steps that have entered the state.
        charges: charges the ledger held when it was given; never falls for one ledger.
        head: hash of the ledger's last entry, hex; empty when nothing was ever charged.
        epsilon: ε spent by the data's account at `delta`; 0 before the first step, infinity without privacy.
        delta: δ of the account; 0 without privacy.
    """

    steps: int = 0
    charges: int = 0
    head: str = ""
    epsilon: float = 0.0
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Publishable(Generic[P]):
    """A state that may leave the node. Only `gossipfl.privacy` makes one; a test keeps it so."""

    state: P
    receipt: Receipt


Clear = Callable[[P, Receipt], Publishable[P]]
"""Clears a state for publication, given the receipt that covers it; raises `PrivacyError` when none does."""


@dataclass(frozen=True, slots=True)
class Packet(Generic[P]):
    """A publication as it travels.

    Attributes:
        content: what was published.
        seen: its state as every receiver will see it.
        residual: the state minus `seen`; None where nothing is lost.
        number: of the publication in this life of the sender, from 1.
        reference: number of the one that the payload is a difference to, 0: the common start; None: to none.
        payload: encoded; empty where states travel as they are, in simulations.
        size: encoded bytes.
    """

    content: Publishable[P]
    seen: P
    residual: P | None = None
    number: int = 0
    reference: int | None = None
    payload: bytes | memoryview = b""
    size: int = 0


Pack = Callable[[Publishable[P]], Packet[P]]
"""Encodes the next publication; one that loses something may build on those before."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a protocol says beside the state itself.

    Attributes:
        round: exchange rounds the sender had finished; `sync` mixes equal rounds.
        step: optimizer steps the sender has done.
        done: the sender will train no more.
        settled: the sender will not publish of its own accord any more.
        push_weight: sum of the weights that ever crossed this edge, in push-sum; 1 elsewhere.
        settle_rounds: mixing-only rounds the sender has counted; None: it does not say (an older wire).
        asks: number of a question, of protocols in which a state is answered; 0: it is none.
        answers: number of the question that it answers; 0: none.
        booked: answers of the receiver's that a question's sender has booked.
    """

    round: int
    step: int
    done: bool = False
    settled: bool = False
    push_weight: float = 1.0
    settle_rounds: int | None = None
    asks: int = 0
    answers: int = 0
    booked: int = 0


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
        steps: optimizer steps done; fewer than asked when the budget ran out.
        units: privacy units drawn on average (the expected batch), never the realised number.
        receipt: covers all own steps including these.
        exhausted: no further step can be paid for.
    """

    version: int
    state: P
    steps: int
    units: float
    receipt: Receipt
    exhausted: bool = False


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
class Stopped:
    """The driver stops: last chance to checkpoint."""


Event = (
    Started | Trained[P] | Received[P] | SendFailed | TimerFired | ScheduleTick | NeighborUp | NeighborDown | Stopped
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
    """

    version: int
    snapshot: P
    first_step: int
    steps: int


@dataclass(frozen=True, slots=True)
class Crossing(Generic[P]):
    """What a publication adds to all that ever crossed its edge.

    Attributes:
        flow: all of it, this publication with it.
        after: number of the publication sent on this edge before, from whose flow a receiver finds this one; 0: none
            ever was; None: none in this life, so that the flow itself has to travel.
    """

    flow: Flow[P]
    after: int | None

    def follows(self, known: int | None) -> bool:
        """Whether who knows the flow after that publication of this life, or none, can find this one."""
        return self.after == 0 or (self.after is not None and self.after == known)


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
