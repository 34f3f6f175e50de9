"""Carrying bytes for two neighbors that only dial out: each reaches this node, neither reaches the other.

    b ── Offer ──> waits here                      a ── Ask b ──> paired with what b offered
    a ── bytes ──> b, b ── bytes ──> a             until one of them ends

The bytes are a TLS connection of the two, in which each verifies the other's certificate: whoever carries it sees how
much goes over and when, and can do no more than stop it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gossipfl.errors import HandshakeError, MessageError
from gossipfl.net.context import Context
from gossipfl.net.duplex import Duplex
from gossipfl.net.tunnel_frames import Ask, Offer, Opened, pump, read_tunnel, tunnel_bytes, until_one_ends

logger = logging.getLogger(__name__)
NOBODY = "nobody"
"""Reason of a refusal that is none: who is asked for is not there yet."""
OFFERS_PER_PEER = 4
"""Offers of one neighbor that may wait; it makes another when one is taken."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """An offer nobody has taken yet.

    Attributes:
        read: from its stream; says nothing before it is taken.
        ended: set when whoever took it has done with it.
    """

    duplex: Duplex
    read: "asyncio.Task[bytes | None]"
    taken: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Relay:
    """Tunnels between neighbors of one node."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[str, deque[_Waiting]] = {}

    async def carry(self, name: str, duplex: Duplex) -> None:
        """Serves one end of a tunnel to its end.

        Args:
            name: the neighbor's, by its certificate.

        Raises:
            HandshakeError: reason relay: this node carries nothing, or too much waits; nobody: nobody waits, which
                is no offense: one end is there before the other.
            MessageError: reason garbage.
            LinkLostError: the stream broke off.
            TimeoutError: it did not say what it wants.
        """
        if not self._context.carries:
            raise _refused(name, "this node carries nothing for others")
        async with asyncio.timeout(self._context.limits.connect_timeout_s):
            wish = await read_tunnel(duplex, peer=name)
        match wish:
            case Offer():
                await self._wait(name, duplex)
            case Ask(other):
                await self._connect(name, other, duplex)
            case _:
                raise MessageError(f"{name!r} began a tunnel with neither", peer=name, reason="garbage")

    async def _wait(self, name: str, duplex: Duplex) -> None:
        offers = self._waiting.setdefault(name, deque())
        if len(offers) >= OFFERS_PER_PEER:
            raise _refused(name, f"{name!r} has {len(offers)} offers waiting")
        offer = _Waiting(duplex, asyncio.create_task(duplex.read()))
        offers.append(offer)
        try:
            # a stream that says something before it is taken, or is lost, is no offer any more
            ended = asyncio.create_task(offer.ended.wait())
            await asyncio.wait([offer.read, ended], return_when=asyncio.FIRST_COMPLETED)
            if offer.taken:
                await ended
        finally:
            ended.cancel()
            offer.read.cancel()
            if offer in offers:
                offers.remove(offer)

    async def _connect(self, name: str, other: str, duplex: Duplex) -> None:
        offers = self._waiting.get(other)
        if other == name or not offers:
            raise HandshakeError(f"nobody waits here as {other[:63]!r}", peer=name, reason=NOBODY)
        offer = offers.popleft()
        offer.taken = True
        carried = 0

        def counted(count_bytes: int) -> None:
            nonlocal carried
            carried += count_bytes

        try:
            await offer.duplex.write(tunnel_bytes(Opened(name)))
            await duplex.write(tunnel_bytes(Opened(other)))
            logger.info("tunnel between %s and %s is open", name, other)
            await until_one_ends(
                pump(duplex, self._carrier(name, offer.duplex, counted), peer=name),
                pump(offer.duplex, self._carrier(other, duplex, counted), peer=other, first=offer.read),
            )
        finally:
            offer.ended.set()
            logger.info("tunnel between %s and %s has ended after %d bytes", name, other, carried)

    def _carrier(self, sender: str, to: Duplex, counted: Callable[[int], None]) -> Callable[[bytes], Awaitable[None]]:
        intake = self._context.neighbors[sender].intake

        async def carry(data: bytes) -> None:
            await intake.admit(len(data), payload=True)
            await to.write(tunnel_bytes(data))
            counted(len(data))

        return carry


def _refused(peer: str, message: str) -> HandshakeError:
    return HandshakeError(message, peer=peer, reason="relay")
