"""What the network tells the driver."""

from collections.abc import Mapping
from dataclasses import dataclass

from gossipfl.core.handshake import Greeting
from gossipfl.core.mass import Flow
from gossipfl.core.messages import Header
from gossipfl.protection.letters import Letter
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A neighbor is reached, or lives a new life.

    Attributes:
        name: the neighbor.
        greeting: what it said of itself; checked.
    """

    name: str
    greeting: Greeting


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A neighbor is lost; it is dialed again without being asked to."""

    name: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that passed every check.

    Attributes:
        sender: by its certificate.
        state: decoded, every number finite, norm bounded.
        header: what the protocol said beside it.
        incarnation: the sender's life.
        sequence: within that life; newer than all delivered before.
        flow: all that ever crossed the edge, where books are kept.
    """

    sender: str
    state: AdapterState
    header: Header
    incarnation: int
    sequence: int
    flow: Flow[AdapterState] | None = None


@dataclass(frozen=True, slots=True)
class Spoke:
    """A message came whose numbers are no state: it was counted and dropped, and will not come again.

    Attributes:
        sender: by its certificate.
        header: what the protocol said beside it.
    """

    sender: str
    header: Header


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message broke off; it is sent again on the next link unless a newer one takes its place."""

    receiver: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A letter that passed every check but its reader's.

    Attributes:
        sender: by its certificate.
        letter: to this node.
    """

    sender: str
    letter: Letter


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """Dynamic membership: others are up now.

    Attributes:
        up: address by name, this node among them.
    """

    up: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PaperCame:
    """A neighbor passed on a signed paper; nothing of it is checked."""

    sender: str
    line: bytes


NetEvent = LinkUp | LinkDown | Arrived | Spoke | Delivered | Undelivered | MembersChanged | PaperCame
