"""What the network says, as the protocol's events."""

from collections.abc import Callable
from typing import assert_never

from gossipfl.core.events import Heard, NeighborDown, NeighborUp, Received, SendFailed
from gossipfl.errors import MessageError
from gossipfl.net.events import PaperCame, Spoke
from gossipfl.net.transport import (
    Arrived,
    Delivered,
    LinkDown,
    LinkUp,
    MembersChanged,
    NetEvent,
    Undelivered,
)
from gossipfl.node.following import Following
from gossipfl.node.mail import Mail
from gossipfl.node.order import Item
from gossipfl.node.parts import NodeParts


class Hearing:
    """The ear of a node, on its event loop.

    Args:
        tell: tells the protocol.
        reject: told of papers that make no sense.

    Attributes:
        mail: of a node under protection.
        following: of one whose neighbors may change.
    """

    def __init__(self, parts: NodeParts, tell: Callable[[Item], None], reject: Callable[[MessageError], None]) -> None:
        self._parts = parts
        self._reject = reject
        self._tell = tell
        self.mail: Mail | None = None
        self.following: Following | None = None

    def take(self, event: NetEvent) -> None:
        """Hears one thing; never blocks."""
        match event:
            case LinkUp():
                self._up(event)
            case LinkDown(name=name):
                self._tell(NeighborDown(name))
            case Arrived():
                self._arrived(event)
            case Spoke(sender=sender, header=header):
                self._tell(Heard(sender, header, contributes=False))
            case Delivered():
                self._delivered(event)
            case Undelivered(receiver=receiver):
                self._tell(SendFailed(receiver))
            case MembersChanged(up=up):
                if self.following is not None:
                    self.following.members_changed(up)
            case PaperCame(sender=sender, line=line):
                self._paper(sender, line)
            case _:
                assert_never(event)

    def _up(self, event: LinkUp) -> None:
        self._parts.heard(event.name, event.greeting)
        if self._parts.traces is not None:
            self._parts.traces.met(event.name, event.greeting.trace_seed)
        self._tell(NeighborUp(event.name))
        if self.mail is not None:
            self.mail.up(event.name)
        self._parts.common.up(event.name)

    def _delivered(self, event: Delivered) -> None:
        if self.mail is not None:
            self.mail.take(event, self._parts.protocol.snapshot.round)

    def _paper(self, sender: str, line: bytes) -> None:
        error = self._parts.common.came(sender, line)
        if error is not None:
            self._reject(error)

    def _arrived(self, event: Arrived) -> None:
        self._parts.record.distances.heard(event.sender, event.state, event.header)
        if self._parts.attacker is not None:
            self._parts.attacker.hear(event.sender, event.state)
        self._tell(Received(event.sender, event.state, event.header, event.flow))
