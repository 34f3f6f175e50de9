"""Reaching a neighbor that, like this node, only dials out: through one that both reach.

    this node's dialer ── TLS ──> Entrance, a socket file ══ tunnel ══> relay        the end of the lower name
    relay ══ tunnel ══> Exits ── the same TLS ──> this node's server, a socket file  the end of the higher name

Nothing above knows of it: TLS, greeting and link are those of a neighbor that is dialed.
"""

import asyncio
import contextlib
import logging
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence

from gossipfl.config.peers import NodeConfig
from gossipfl.errors import HandshakeError, MessageError, NetworkError
from gossipfl.net.channels import SERVICE, reach
from gossipfl.net.context import Context
from gossipfl.net.duplex import DialedDuplex, Duplex, LinkLostError
from gossipfl.net.tunnel_frames import (
    DATA_BYTES,
    Ask,
    Offer,
    Opened,
    TunnelFrame,
    pump,
    read_tunnel,
    tunnel_bytes,
    until_one_ends,
)

logger = logging.getLogger(__name__)
_MOST = 16
"""Tunnels that may end here at once, of one relay: what a hostile one may open."""
_LOST = (LinkLostError, MessageError, HandshakeError, OSError, TimeoutError)
"""Ways in which a relay fails a tunnel; none is this node's end."""


class Detour:
    """What a node needs to reach and to be reached through others; nothing where there is nobody to be reached so.

    Args:
        relays: by neighbor, who carries bytes between the two.
    """

    def __init__(self, context: Context, relays: Mapping[str, Sequence[NodeConfig]]) -> None:
        me = context.identity.name
        self._context = context
        self._asked = {name: nodes for name, nodes in relays.items() if me < name}
        self._offered = {node.name: node for name, nodes in relays.items() if name < me for node in nodes}
        self._closing = contextlib.AsyncExitStack()
        self._inner = ""

    async def __aenter__(self) -> tuple[Mapping[str, str], str | None]:
        """Opens the entrances: an address to dial for each neighbor, and one for this node's server to listen at.

        Raises:
            NetworkError: there is no place for socket files, or no TLS.
        """
        if not self._asked and not self._offered:
            return {}, None
        if self._context.identity.insecure:
            raise NetworkError("nodes that only dial out reach each other over TLS only: leave --insecure out")
        try:
            folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="gossipfl-"))
            entrances = {
                name: await self._closing.enter_async_context(
                    Entrance(self._context, name, relays).open(f"{folder}/{number}")
                )
                for number, (name, relays) in enumerate(self._asked.items())
            }
        except OSError as error:
            await self._closing.aclose()
            raise NetworkError(f"no socket files can be made: {error}") from error
        self._inner = f"{folder}/server"
        return entrances, f"unix:{self._inner}" if self._offered else None

    async def __aexit__(self, *_: object) -> None:
        """Closes the entrances; their socket files are gone."""
        await self._closing.aclose()

    def exits(self) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        """Work that keeps this node reachable, by relay; for when its server listens."""
        for name, node in self._offered.items():
            yield name, Exits(self._context, node, self._inner).run()


class Entrance:
    """A socket file whose connections come out at a neighbor.

    Args:
        neighbor: its name.
        relays: nodes that both reach, tried in turn.
    """

    def __init__(self, context: Context, neighbor: str, relays: Sequence[NodeConfig]) -> None:
        self._context = context
        self._neighbor = neighbor
        self._relays = deque(relays)

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[str]:
        """Listens at a path for as long as it is entered; gives the address to dial."""
        server = await asyncio.start_unix_server(self._carry, path)
        try:
            yield f"unix:{path}"
        finally:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = self._relays[0]
        try:
            async with _tunnel(self._context, relay, Ask(self._neighbor)) as duplex:
                async with asyncio.timeout(self._context.limits.connect_timeout_s):
                    await _opened(duplex, relay.name)
                await _join(duplex, reader, writer, relay.name)
        except _LOST as error:
            logger.info("%s not reached through %s: %s", self._neighbor, relay.name, error)
            # the next attempt is another's
            if self._relays[0] is relay:
                self._relays.rotate(-1)
        finally:
            writer.close()


class Exits:
    """Offers at one relay, each of which becomes a connection to this node's own server."""

    def __init__(self, context: Context, relay: NodeConfig, server: str) -> None:
        self._context = context
        self._relay = relay
        self._server = server
        self._room = asyncio.Semaphore(_MOST)

    async def run(self) -> None:
        """Keeps an offer waiting there; ends by cancellation only."""
        limits, attempt = self._context.limits, 0
        async with asyncio.TaskGroup() as tunnels:
            while True:
                await self._room.acquire()
                taken = asyncio.Event()
                tunnel = tunnels.create_task(self._offer(taken))
                waiting = asyncio.create_task(taken.wait())
                await asyncio.wait([tunnel, waiting], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                attempt = 0 if taken.is_set() else attempt + 1
                await asyncio.sleep(limits.pause_s(attempt) if attempt else 0)

    async def _offer(self, taken: asyncio.Event) -> None:
        name = self._relay.name
        try:
            async with _tunnel(self._context, self._relay, Offer()) as duplex:
                who = await _opened(duplex, name)
                taken.set()
                logger.info("a tunnel from %s through %s", who[:63], name)
                reader, writer = await asyncio.open_unix_connection(self._server)
                try:
                    await _join(duplex, reader, writer, name)
                finally:
                    writer.close()
        except _LOST as error:
            logger.debug("no tunnel through %s: %s", name, error)
        finally:
            self._room.release()


@contextlib.asynccontextmanager
async def _tunnel(context: Context, relay: NodeConfig, first: TunnelFrame) -> AsyncIterator[Duplex]:
    """A stream to a relay on a connection of its own, its first word said."""
    address, limits = relay.address or "", context.limits
    channel = await reach(
        context.trust, relay.name, address, timeout_s=limits.connect_timeout_s, keepalive_s=limits.keepalive_s
    )
    async with channel:
        call = channel.stream_stream(f"/{SERVICE}/Tunnel")()
        try:
            duplex = DialedDuplex(call)
            async with asyncio.timeout(limits.connect_timeout_s):
                await duplex.write(tunnel_bytes(first))
            yield duplex
        finally:
            call.cancel()


async def _opened(duplex: Duplex, relay: str) -> str:
    frame = await read_tunnel(duplex, peer=relay)
    if not isinstance(frame, Opened):
        raise MessageError(f"{relay!r} opened no tunnel", peer=relay, reason="garbage")
    return frame.name


async def _join(duplex: Duplex, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, relay: str) -> None:
    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def read() -> None:
        while data := await reader.read(DATA_BYTES):
            await duplex.write(tunnel_bytes(data))

    await until_one_ends(pump(duplex, write, peer=relay), read())
