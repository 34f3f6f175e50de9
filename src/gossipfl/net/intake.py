"""What one peer may cost: how fast its frames are read, how many of its messages wait, how often it may call.

frame ──admit──> read on          more than its share, or too much waits ─> not read; gRPC's flow control and
the peer's own outbox hold the rest back, the newest state in older ones' place
call ──admit──> answered          more than its share ─> refused
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiolimiter import AsyncLimiter

from gossipfl.errors import HandshakeError
from gossipfl.net.limits import Limits

SMALLEST_FRAME = 1 << 12
"""Bytes that the shortest frame is charged for: reading one has a price of its own."""


class Intake:
    """How one neighbor is read, over all its links together."""

    def __init__(self, limits: Limits) -> None:
        self._bytes = AsyncLimiter(limits.bytes_per_s, 1)
        self._messages = AsyncLimiter(limits.messages_per_s, 1)
        self._most = limits.waiting
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False

    async def admit(self, frame_bytes: int, *, payload: bool) -> None:
        """Returns when a frame that has come may be taken.

        Args:
            payload: it is a chunk of a message that was announced.
        """
        await self._bytes.acquire(max(frame_bytes, SMALLEST_FRAME))
        if not payload:
            await self._messages.acquire()
            await self._room.wait()

    def handed_over(self) -> None:
        """A message waits for the driver."""
        self._waiting += 1
        self._look()

    def handled(self) -> None:
        """The driver has taken one."""
        self._waiting = max(0, self._waiting - 1)
        self._look()

    def close(self) -> None:
        """Nobody takes messages any more: what comes is read to its end."""
        self._closing = True
        self._look()

    def _look(self) -> None:
        if self._waiting < self._most or self._closing:
            self._room.set()
        else:
            self._room.clear()


@dataclass(slots=True)
class _Caller:
    limiter: AsyncLimiter
    open: int = 0


@dataclass(frozen=True, slots=True)
class Callers:
    """Members' calls; strangers have none, so that the memory this takes is bounded."""

    limits: Limits
    _callers: dict[str, _Caller] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def admit(self, name: str | None) -> AsyncIterator[None]:
        """Counts a call of a member for as long as it is open.

        Args:
            name: None where names are believed: whoever called too often would be anybody.

        Raises:
            HandshakeError: reason rate.
        """
        if name is None:
            yield
            return
        caller = self._callers.setdefault(name, _Caller(AsyncLimiter(self.limits.calls_per_s, 1)))
        if caller.open >= self.limits.calls_at_once:
            raise HandshakeError(f"{name!r} has {caller.open} calls open", peer=name, reason="rate")
        if not caller.limiter.has_capacity():
            text = f"{name!r} calls more often than {self.limits.calls_per_s} times a second"
            raise HandshakeError(text, peer=name, reason="rate")
        await caller.limiter.acquire()
        caller.open += 1
        try:
            yield
        finally:
            caller.open -= 1
