"""One bidirectional stream of raw frames, the same from either end: gRPC's many ways to fail become `LinkLostError`."""

import asyncio
from typing import Protocol

import grpc
from grpc.aio import EOF

_FAULTS = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError, RuntimeError)
"""What grpc.aio raises when the other end or the connection has gone."""


class LinkLostError(Exception):
    """The stream is over; why is said for the log.

    Attributes:
        tls: the peer is there, but certificates do not fit.
    """

    def __init__(self, why: str, *, tls: bool = False) -> None:
        super().__init__(why)
        self.tls = tls


class Duplex(Protocol):
    """A stream of frames; cancelling a read or write ends it."""

    async def read(self) -> bytes | None:
        """The next frame; None when the other end has finished.

        Raises:
            LinkLostError: the stream broke off.
        """
        ...

    async def write(self, frame: bytes) -> None:
        """Sends a frame; returns when the peer's flow control has let it go.

        Raises:
            LinkLostError: the stream broke off.
        """
        ...

    async def finish(self) -> bool:
        """Says that no frame will follow; False when this end can only say so by ending the call."""
        ...


class DialedDuplex:
    """The stream seen from the node that dialed."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        self._call = call

    async def read(self) -> bytes | None:
        """See `Duplex`."""
        try:
            frame = await self._call.read()
        except _FAULTS as error:
            raise _lost(error) from error
        return None if frame is EOF else frame

    async def write(self, frame: bytes) -> None:
        """See `Duplex`."""
        try:
            await self._call.write(frame)
        except _FAULTS as error:
            raise _lost(error) from error

    async def finish(self) -> bool:
        """See `Duplex`."""
        await self._call.done_writing()
        return True


class AcceptedDuplex:
    """The stream seen from the node that was dialed."""

    def __init__(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        self._context = context

    async def read(self) -> bytes | None:
        """See `Duplex`."""
        try:
            frame = await self._context.read()
        except _FAULTS as error:
            raise _lost(error) from error
        return None if frame is EOF else frame

    async def write(self, frame: bytes) -> None:
        """See `Duplex`."""
        try:
            await self._context.write(frame)
        except _FAULTS as error:
            raise _lost(error) from error

    async def finish(self) -> bool:
        """See `Duplex`."""
        return False


def _lost(error: BaseException) -> LinkLostError:
    if isinstance(error, grpc.aio.AioRpcError):
        details = error.details() or ""
        tls = "CERTIFICATE" in details or "erification" in details or "handshake failed" in details
        return LinkLostError(f"{error.code().name.lower()}: {details}", tls=tls)
    return LinkLostError(f"{type(error).__name__}: {error}")
