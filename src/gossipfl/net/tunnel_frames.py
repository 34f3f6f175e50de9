"""What travels in a tunnel: an offer or an ask, the answer, then bytes that mean nothing to whoever carries them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gossipfl.errors import MessageError
from gossipfl.net.duplex import Duplex, LinkLostError
from gossipfl.v1 import gossip_pb2 as pb

DATA_BYTES = 1 << 16
"""Most of one frame."""
_PREFIX_BYTES = 16
_ENDS = (LinkLostError, OSError, asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class Offer:
    """The sender waits for whoever asks for it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The sender wishes to reach `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The tunnel is there, with `name` at its other end."""

    name: str


TunnelFrame = Offer | Ask | Opened | bytes


def tunnel_bytes(frame: TunnelFrame) -> bytes:
    """A frame as it travels."""
    match frame:
        case Offer():
            said = pb.TunnelFrame(offer=pb.TunnelOffer())
        case Ask(name):
            said = pb.TunnelFrame(ask=name)
        case Opened(name):
            said = pb.TunnelFrame(opened=name)
        case bytes():
            said = pb.TunnelFrame(data=frame)
    return said.SerializeToString()


def tunnel_frame(data: bytes, *, peer: str) -> TunnelFrame:
    """What a frame holds.

    Raises:
        MessageError: reason garbage: too large, not protobuf, or nothing we know.
    """
    if len(data) > DATA_BYTES + _PREFIX_BYTES:
        raise _garbage(peer, f"a frame of {len(data)} bytes in a tunnel")
    try:
        frame = pb.TunnelFrame.FromString(data)
    except DecodeError as error:
        raise _garbage(peer, f"{len(data)} bytes that are no frame of a tunnel") from error
    match frame.WhichOneof("kind"):
        case "offer":
            return Offer()
        case "ask":
            return Ask(frame.ask)
        case "opened":
            return Opened(frame.opened)
        case "data":
            return frame.data
    raise _garbage(peer, "an empty frame in a tunnel")


async def read_tunnel(duplex: Duplex, *, peer: str) -> TunnelFrame:
    """The next frame.

    Raises:
        MessageError: as `tunnel_frame`.
        LinkLostError: there is none.
    """
    data = await duplex.read()
    if data is None:
        raise LinkLostError(f"{peer!r} hung up")
    return tunnel_frame(data, peer=peer)


async def pump(
    duplex: Duplex,
    write: Callable[[bytes], Awaitable[object]],
    *,
    peer: str,
    first: Awaitable[bytes | None] | None = None,
) -> None:
    """Carries a tunnel's bytes one way, until they end.

    Args:
        write: takes the content of a frame; returns when there is room for another.
        peer: who sends them.
        first: a read that has begun.

    Raises:
        MessageError: reason garbage: something else than bytes came.
        LinkLostError: the stream broke off.
    """
    data = await (first if first is not None else duplex.read())
    while data is not None:
        content = tunnel_frame(data, peer=peer)
        if not isinstance(content, bytes):
            raise _garbage(peer, "something else than bytes in an open tunnel")
        await write(content)
        data = await duplex.read()


async def until_one_ends(*ways: Coroutine[None, None, None]) -> None:
    """Carries both ways; both end with the first.

    A stream that is lost, or a connection that breaks, is an end like another.

    Raises:
        MessageError: as `pump`.
    """
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, _ENDS):
            raise result


def _garbage(peer: str, what: str) -> MessageError:
    return MessageError(f"{peer!r} sent {what}", peer=peer, reason="garbage")
