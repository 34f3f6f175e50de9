"""What a link's chunks come to."""

from dataclasses import dataclass

from gossipfl.core.mass import Flow
from gossipfl.net.wire import Envelope
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Message:
    """A message that passed every check."""

    envelope: Envelope
    state: AdapterState
    flow: Flow[AdapterState] | None = None


@dataclass(frozen=True, slots=True)
class Enclosed:
    """The same with a letter in a state's place."""

    envelope: Envelope
    content: memoryview


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A message whole and new whose numbers are no state: all that counts of it is that its sender has spoken."""

    envelope: Envelope


Arrival = Message | Enclosed | Spoiled
