"""How a node's state meets its neighbors', where each counts rounds of its own; see `pace`."""

from typing import Protocol as Seam

from gossipfl.core.events import Received, Report, Send, Trained
from gossipfl.core.messages import Header
from gossipfl.core.schedule import Schedule
from gossipfl.core.vector import P


class Exchange(Seam[P]):
    """How a node's state meets its neighbors'."""

    @property
    def may_train(self) -> bool:
        """Whether the state, as it is, may be trained."""
        ...

    @property
    def hears_all(self) -> bool:
        """Whether each neighbor that ever sends to this node does so in every round."""
        ...

    def take(self, event: Received[P], header: Header) -> list[Send[P]]:
        """A neighbor's message; what is to be said to it at once, under a header like this one."""
        ...

    def train(self, event: Trained[P]) -> Report:
        """Adds a training phase, and mixes."""
        ...

    def mix(self) -> Report:
        """Mixes without training."""
        ...

    @property
    def has_met(self) -> bool:
        """Whether the round that ends now was one: it heard, or could hear, somebody."""
        ...

    def is_complete(self, awaited: list[str]) -> bool:
        """Whether nothing is to be waited for before the next mixing, of neighbors that may be heard any moment."""
        ...

    def publish(self, header: Header) -> list[Send[P]]:
        """The state as it is, to whom it concerns; of a settled node to all neighbors: nobody has to linger for it."""
        ...

    def welcome(self, name: str, header: Header) -> list[Send[P]]:
        """What a neighbor has to know whose link came up."""
        ...

    def adopt(self) -> Report | None:
        """Goes to where the neighbors are that have been heard; None: none of them has come further than the start."""
        ...

    def rewire(self, schedule: Schedule) -> None:
        """Other neighbors from now on; called after they were noted."""
        ...
