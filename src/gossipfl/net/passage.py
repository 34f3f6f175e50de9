"""What whoever traces is told of a link's messages."""

from dataclasses import dataclass

from gossipfl.net.wire import Envelope


@dataclass(frozen=True, slots=True)
class Passage:
    """One message that has left in full, or arrived and passed every check; for whoever traces.

    Attributes:
        outward: it left.
        envelope: what was said beside the payload.
        began_ns, ended_ns: its first and its last byte at this end, since the epoch.
    """

    outward: bool
    envelope: Envelope
    began_ns: int
    ended_ns: int


def unnoticed(_: Passage) -> None:
    """Where nobody traces."""
