"""What happens to a node, in the order in which its protocol is told.

transport, worker, timers, signals ── add ──> Order ── next ──> the node's loop
"""

import asyncio
from typing import Protocol

from gossipfl.core.events import Event
from gossipfl.node.trainer import PhaseDone
from gossipfl.state import AdapterState


class Failed:
    """A background job raised: ours is a bug, the user's a message; either ends the node."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Noted:
    """Something was agreed on among all nodes; the protocol knows nothing of it."""


Item = Event[AdapterState] | PhaseDone | Failed | Noted


class Order(Protocol):
    """Decides what comes next. A protocol's state follows from this order alone, so a test may replay one."""

    def add(self, item: Item) -> None:
        """Takes what has happened; called on the event loop, must not block."""
        ...

    async def next(self) -> tuple[Item, float]:
        """What the protocol is to be told now, and the time it is told; waits until there is something."""
        ...


class ArrivalOrder:
    """As it happens."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    def add(self, item: Item) -> None:
        """See `Order.add`."""
        self._items.put_nowait(item)

    async def next(self) -> tuple[Item, float]:
        """See `Order.next`; by the event loop's clock."""
        item = await self._items.get()
        return item, asyncio.get_running_loop().time()
