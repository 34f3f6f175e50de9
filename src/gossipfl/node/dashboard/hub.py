"""Looks at the nodes for as long as somebody watches, once for all who do."""

import asyncio
from collections.abc import AsyncIterator

from gossipfl.node.asking import Observer
from gossipfl.node.network_view import NetworkView

EVERY_S = 2.0
TIMEOUT_S = 3.0
"""A node that takes longer counts as silent: the others' figures do not wait for it."""
MOST_WATCHERS = 32


class Hub:
    """Views, newest first, to any number of watchers.

    Args:
        observer: who asks.
        every_s: seconds from look to look.
    """

    def __init__(self, observer: Observer, *, every_s: float = EVERY_S) -> None:
        self._observer = observer
        self._every_s = every_s
        self._watchers = 0
        self._someone = asyncio.Event()
        self._view: NetworkView | None = None
        self._looked_at = 0.0
        self._next = asyncio.Event()
        self._closed = False
        self._once = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """No more watchers are taken."""
        return self._watchers >= MOST_WATCHERS

    async def run(self) -> None:
        """Looks while there are watchers; ends by cancellation."""
        loop = asyncio.get_running_loop()
        while True:
            await self._someone.wait()
            started = loop.time()
            self._publish(await self._observer.look(timeout_s=TIMEOUT_S))
            await asyncio.sleep(max(0.0, started + self._every_s - loop.time()))

    async def views(self) -> AsyncIterator[NetworkView]:
        """Every view from now on; those that come while the last is taken are left out."""
        self._watchers += 1
        self._someone.set()
        try:
            seen: NetworkView | None = None
            while not self._closed:
                upcoming = self._next
                if self._is_fresh and self._view is not None and self._view is not seen:
                    seen = self._view
                    yield seen
                else:
                    await upcoming.wait()
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._someone.clear()

    async def view(self) -> NetworkView:
        """One view, not older than a watcher's."""
        async with self._once:
            if self._is_fresh and self._view is not None:
                return self._view
            view = await self._observer.look(timeout_s=TIMEOUT_S)
            self._publish(view)
            return view

    def close(self) -> None:
        """Ends every watcher's views."""
        self._closed = True
        self._next.set()

    @property
    def _is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() < self._looked_at + self._every_s + TIMEOUT_S

    def _publish(self, view: NetworkView) -> None:
        self._view, self._looked_at = view, asyncio.get_running_loop().time()
        self._next.set()
        self._next = asyncio.Event()
