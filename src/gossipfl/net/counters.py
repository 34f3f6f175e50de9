"""What went over the wire and what was turned away."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from gossipfl.errors import PeerError
from gossipfl.net.reports import REJECTIONS, RejectionReport

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """Figures of one peer, or of all together.

    Attributes:
        bytes_sent, bytes_received: serialized frames, payload and framing; not TLS and TCP.
        messages_sent, messages_received: whole states.
        rejected: turned away, by reason.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Counters:
    """Figures of a transport, in total and for every neighbor.

    Args:
        names: neighbors; what strangers do is counted in the total only, so that they cost no memory.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.peers = {name: Tally() for name in names}
        self._strangers = Tally()
        self._last: dict[tuple[str, str], float] = {}

    def know(self, name: str) -> None:
        """Counts a neighbor by itself from now on."""
        self.peers.setdefault(name, Tally())

    @property
    def bytes_sent(self) -> int:
        """To all."""
        return sum(tally.bytes_sent for tally in self._all)

    @property
    def bytes_received(self) -> int:
        """From all."""
        return sum(tally.bytes_received for tally in self._all)

    @property
    def messages_sent(self) -> int:
        """To all."""
        return sum(tally.messages_sent for tally in self._all)

    @property
    def messages_received(self) -> int:
        """From all."""
        return sum(tally.messages_received for tally in self._all)

    @property
    def rejected(self) -> Counter[str]:
        """By reason, of all."""
        return sum((tally.rejected for tally in self._all), Counter[str]())

    def of(self, name: str) -> Tally:
        """A neighbor's figures; one common tally for everybody else."""
        return self.peers.get(name, self._strangers)

    def reject(self, error: PeerError) -> None:
        """Counts a rejection, once; the log gets the 1st, 2nd, 4th, 8th, … of each peer and reason."""
        if error.counted:
            return
        error.counted = True
        rejected = self.of(error.peer).rejected
        rejected[error.reason] += 1
        times = rejected[error.reason]
        self._remember(error.peer if error.peer in self.peers else "", error.reason)
        if times & (times - 1) == 0:
            fields = {"peer": error.peer, "reason": error.reason, "times": times}
            logger.warning("rejected (%s, %d times): %s", error.reason, times, error, extra=fields)

    def last_rejections(self) -> tuple[RejectionReport, ...]:
        """The newest first, one a peer and reason; whoever is no neighbor has no name here."""
        now = time.monotonic()
        return tuple(
            RejectionReport(peer, reason, self.of(peer).rejected[reason], now - at)
            for (peer, reason), at in reversed(self._last.items())
        )

    def _remember(self, peer: str, reason: str) -> None:
        self._last.pop((peer, reason), None)
        self._last[peer, reason] = time.monotonic()
        if len(self._last) > REJECTIONS:
            del self._last[next(iter(self._last))]

    @property
    def _all(self) -> list[Tally]:
        return [*self.peers.values(), self._strangers]
