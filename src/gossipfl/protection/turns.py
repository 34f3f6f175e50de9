"""One contribution a round and receiver: a second one, with other content or keys, could be subtracted from it."""

from collections import deque
from collections.abc import Sequence
from enum import Enum

from gossipfl.core.events import Send
from gossipfl.state import AdapterState

_WAITING = 4
"""Publications for one receiver kept until keys are agreed."""


class Turn(Enum):
    """What is to become of a publication."""

    MAKE = "make"
    REPEAT = "repeat"
    """Send again what was made of it."""
    NONE = "none"
    """It waits for keys, or its round is over."""


class Turns:
    """Which rounds this node has contributed to, by receiver."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._waiting: dict[str, deque[Send[AdapterState]]] = {}

    def of(self, send: Send[AdapterState], *, agreed: bool) -> Turn:
        """Of one publication.

        Args:
            agreed: there are keys for its receiver.
        """
        receiver, number = send.receiver, send.header.round
        last = self._last.get(receiver, -1)
        if number == last:
            return Turn.REPEAT
        if not agreed:
            self._waiting.setdefault(receiver, deque(maxlen=_WAITING)).append(send)
        if not agreed or number < last:
            return Turn.NONE
        self._last[receiver] = number
        return Turn.MAKE

    def waiting(self, receiver: str) -> Sequence[Send[AdapterState]]:
        """What waited for a receiver's keys; it waits no longer."""
        return self._waiting.pop(receiver, ())
