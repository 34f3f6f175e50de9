"""How a node ends that stops together with all: its state is kept and signed, and it stays for what the others keep.

It trains no more and mixes no more: from the plan's phase its state is the one it has signed. It ends when all have
signed, or when for `linger_s` nobody was heard.
"""

import logging
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gossipfl.core.events import Heard, Received, Stopped, TimerFired
from gossipfl.node.order import Failed, Item, Noted
from gossipfl.node.parts import NodeParts
from gossipfl.node.timers import Timers
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)
TOGETHER = "stop together"
"""Timer of a node that waits for what the others keep."""


class Together:
    """A running node's part in common checkpoints and stops.

    Attributes:
        begun: the node has stopped, and waits for the others.
        over: it waits no longer.
    """

    def __init__(self, parts: NodeParts, timers: Timers) -> None:
        self.begun = False
        self.over = False
        self._parts = parts
        self._timers = timers

    def forbids_training(self) -> bool:
        """Whether the phase after which all stop is over."""
        return self._parts.common.forbids(self._parts.protocol.snapshot)

    def to_train(self) -> AdapterState | None:
        """The state as it is now, if it may be trained."""
        return None if self.forbids_training() else self._parts.protocol.snapshot.state

    def takes(self, item: Item) -> bool:
        """Whether what happened is nothing for the protocol."""
        if self.begun:
            match item:
                case Failed() | Stopped():
                    return False
                case TimerFired(name=name) if name == TOGETHER:
                    logger.warning("ending without a word of %s", ", ".join(self._parts.common.missing))
                    self.over = True
                case Received() | Heard() | Noted():
                    # somebody is still at work
                    self._wait()
                case _:
                    pass
        return self.begun or isinstance(item, Noted)

    async def look(self, moments: Mapping[str, NDArray[Any]]) -> None:
        """Keeps, signs and passes on what is due.

        Raises:
            StateError: it cannot be made durable.
        """
        common, snapshot = self._parts.common, self._parts.protocol.snapshot
        await common.look(snapshot, moments)
        if common.closing is None:
            return
        if not self.begun:
            self.begun = True
            # started again, the node goes on from what it has signed
            await self._parts.save(snapshot, moments)
            self._wait()
        if common.over:
            logger.info("all nodes have kept and signed their states: this node ends")
            self.over = True

    async def ended(self) -> None:
        """Notes that the node ends by its own will."""
        if self.begun:
            await self._parts.common.ended()

    def _wait(self) -> None:
        self._timers.set(TOGETHER, self._parts.experiment.gossip.linger_s)
