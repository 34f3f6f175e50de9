"""What wakes a node: the timers its protocol sets, and signals."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

from gossipfl.core.events import TimerFired


class Timers:
    """By name; a new one takes the place of an old one."""

    def __init__(self, add: Callable[[TimerFired], None]) -> None:
        self._add = add
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, delay_s: float) -> None:
        """Fires after so long."""
        if old := self._timers.pop(name, None):
            old.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, self._add, TimerFired(name))

    def close(self) -> None:
        """None fires any more."""
        for timer in self._timers.values():
            timer.cancel()


@contextlib.contextmanager
def on_signals(call: Callable[[int], object]) -> Iterator[None]:
    """While it is entered SIGTERM and SIGINT end in a call on the event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, call, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
