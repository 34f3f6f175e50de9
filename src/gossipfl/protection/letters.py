"""What protected nodes hand each other, and the seam to whoever drives them.

Send ── publish ──> Job ──> Letter ── network ──> take ──> Heard, Summed, letters and jobs
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Heard, Send, Summed
from gossipfl.core.messages import Header
from gossipfl.core.vector import P

OFFER, ROSTER = "offer", "roster"
"""Kinds: a sender's public key; those of all senders."""
SHARE, WORD = "share", "word"
"""A contribution to a sum; the word that there is one elsewhere, or none."""
HOP, RELAY, SUM = "hop", "relay", "sum"
"""A sum so far, from a sender to its receiver; the same from there to the next sender; all of it."""
AGREEING = frozenset({OFFER, ROSTER})
"""Kinds that belong to no round."""
NOTHING_YET = Header(round=0, step=0)
Content = bytes | memoryview | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """Anything that travels between two neighbors under protection.

    Attributes:
        kind: one of the above.
        to: the neighbor.
        content: bytes, at least one.
        header: of the protocol, with kinds that belong to a round.
        roster: id of the keys under which the content was made.
    """

    kind: str
    to: str
    content: Content
    header: Header = NOTHING_YET
    roster: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return len(self.content)


Job = Callable[[], Letter | Summed[P] | None]
"""Work that takes long and may be done in any thread, one at a time; None: nothing comes of it."""


@dataclass(frozen=True, slots=True)
class Taken(Generic[P]):
    """What follows from a letter.

    Attributes:
        letters: to be sent.
        jobs: to be done, in this order.
        events: for the protocol, in this order.
    """

    letters: Sequence[Letter] = ()
    jobs: Sequence[Job[P]] = ()
    events: Sequence[Heard | Summed[P]] = field(default=())


class Guard(Protocol[P]):
    """One node's side of protected averaging, without I/O; lives in memory only, a new one with every life."""

    @property
    def sizes(self) -> Mapping[str, range]:
        """By kind of letter: bytes that it may have, checked before they are received."""
        ...

    def up(self, name: str) -> Sequence[Letter]:
        """What a neighbor needs to know whose link is open."""
        ...

    def publish(self, send: Send[P]) -> Sequence[Job[P]]:
        """What makes a publication's letters; none while keys are not agreed, or for a round that was sent before."""
        ...

    def take(self, sender: str, letter: Letter, present: int) -> Taken[P]:
        """What follows from a letter of a neighbor.

        Args:
            present: round that the node is in.

        Raises:
            MessageError: reason keys or protection.
        """
        ...
