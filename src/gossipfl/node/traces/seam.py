"""What a node tells whoever traces it."""

from contextlib import AbstractContextManager
from typing import Protocol

from gossipfl.core.events import Report, Trained
from gossipfl.core.messages import Header
from gossipfl.net.passage import Passage
from gossipfl.state import AdapterState


class Traces(Protocol):
    """Told on the node's event loop; never blocks, never raises. Times are since the epoch."""

    def met(self, neighbor: str, seed: bytes) -> None:
        """What a neighbor's greeting said of its traces; nobody has looked at it."""
        ...

    def trained(self, trained: Trained[AdapterState], began_ns: int, ended_ns: int) -> None:
        """A phase is done."""
        ...

    def publishing(self, header: Header) -> AbstractContextManager[None]:
        """A publication is under way for as long as the context lasts.

        Args:
            header: of its messages.
        """
        ...

    def passed(self, passage: Passage) -> None:
        """A message has left or arrived."""
        ...

    def mixed(self, report: Report, began_ns: int, ended_ns: int) -> None:
        """A mixing is done."""
        ...
