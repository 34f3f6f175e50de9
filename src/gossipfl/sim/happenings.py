"""What can happen in a simulated world: the entries of its clock."""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.events import Event
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.core.vector import P
from gossipfl.protection.letters import Letter
from gossipfl.sim.availability import Outage


@dataclass(slots=True)
class Tell(Generic[P]):
    """A node gets an event, if it still lives the life it was meant for; None: in any life."""

    node: str
    event: Event[P]
    life: int | None = None


@dataclass(slots=True)
class Ring:
    """A timer comes due, unless it was set anew."""

    node: str
    timer: str
    token: int
    life: int


@dataclass(slots=True)
class PhaseBegins:
    """A node that has rested trains."""

    node: str
    version: int
    life: int


@dataclass(slots=True)
class PhaseEnds:
    """A training phase is done."""

    node: str
    version: int
    life: int


@dataclass(slots=True)
class Message(Generic[P]):
    """A state, or a letter, on its way; what happens is that it arrives.

    Attributes:
        content: the state as it travels; under protection what travels in its place.
        number: of all messages of the world, in the order in which they were sent.
        replaceable: see `core.events.Send`.
        life: of the sender.
        whole: its state travels in full, not as a difference; known when it is transmitted.
        with_totals: all that ever crossed its edge travels with it; known when it is transmitted.
        crossing: see `core.events.Send`.
    """

    sender: str
    receiver: str
    content: Packet[P] | Letter
    header: Header
    number: int
    replaceable: bool
    life: int = 0
    whole: bool = False
    with_totals: bool = False
    crossing: Crossing[P] | None = None


@dataclass(slots=True)
class LineFree:
    """A line has transmitted its message and takes the next one."""

    sender: str
    receiver: str


@dataclass(slots=True)
class GoesDown:
    """A node is killed."""

    outage: Outage


@dataclass(slots=True)
class ComesUp:
    """A node is started again, from its last checkpoint."""

    node: str


@dataclass(slots=True)
class LinkEnds:
    """A node that has left is missed, once all that it had sent has arrived."""

    gone: str
    neighbor: str


@dataclass(slots=True)
class Splits:
    """A partition begins; its place in the list of partitions."""

    place: int


@dataclass(slots=True)
class Heals:
    """A partition is over."""

    place: int


Happening = (
    Tell[P] | Ring | PhaseBegins | PhaseEnds | Message[P] | LineFree | LinkEnds | GoesDown | ComesUp | Splits | Heals
)
