"""A TCP proxy on each line between two nodes of one machine: where there are no namespaces, weather is made here.

    caller ── 127.0.0.1:PORT(caller, called) ── proxy, delays, slows, holds back ── 127.0.0.1:PORT(called)

Bytes of a connection arrive or are held back; single ones cannot be lost without TCP's knowledge.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Self

from gossipfl.config.addresses import parse_address
from gossipfl.net.tunnel_frames import until_one_ends
from gossipfl.studies.drill.weather import FAIR, Weather
from gossipfl.studies.free_ports import HOST

_CHUNK_BYTES = 1 << 14
_QUEUED_CHUNKS = 64
_LOOK_S = 0.05
"""Between two looks at a line that is cut."""


class Proxies:
    """Proxies on all lines for as long as it is entered, in a thread of their own.

    Args:
        targets: HOST:PORT that each node listens at.
    """

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = {name: parse_address(address) for name, address in targets.items()}
        self._weather = dict.fromkeys(itertools.permutations(sorted(targets), 2), FAIR)
        self._ports: dict[tuple[str, str], int] = {}
        self._listening = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxies", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # whatever is carried is cancelled with the loop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def address(self, caller: str, called: str) -> str:
        """HOST:PORT at which one node calls another."""
        return f"{HOST}:{self._ports[caller, called]}"

    def change(self, weather: Weather, suits: Callable[[str, str], bool] = lambda _from, _to: True) -> None:
        """Sets the weather of every direction (from, to) that suits; the others keep theirs."""
        for pair in self._weather:
            if suits(*pair):
                self._weather[pair] = weather

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for pair in self._weather:
                server = await asyncio.start_server(self._line(*pair), HOST, 0)
                stack.callback(server.close)
                self._ports[pair] = server.sockets[0].getsockname()[1]
            self._listening.set()
            await self._stop.wait()

    def _line(
        self, caller: str, called: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]:
        there, back = (caller, called), (called, caller)

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target = self._targets[called]
            try:
                await self._until_fair(there, lambda weather: not weather.closed)
                inner_reader, inner_writer = await asyncio.open_connection(target.host, target.port)
                ways = [(reader, inner_writer, there), (inner_reader, writer, back)]
                try:
                    await until_one_ends(*(self._carry(*way) for way in ways))
                finally:
                    inner_writer.close()
            except OSError:
                # the one that is called is not there: the caller sees its connection closed
                return
            finally:
                writer.close()

        return carry

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: tuple[str, str]) -> None:
        """Carries one way until the end of the stream, which travels like its bytes."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_CHUNKS)
        taking = asyncio.create_task(self._take(reader, under_way, pair))
        try:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - self._loop.time())
                await self._until_fair(pair)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        finally:
            taking.cancel()

    async def _take(
        self, reader: asyncio.StreamReader, under_way: "asyncio.Queue[tuple[float, bytes]]", pair: tuple[str, str]
    ) -> None:
        free_at, data = 0.0, b"-"
        while data:
            try:
                data = await reader.read(_CHUNK_BYTES)
            except OSError:
                data = b""
            weather = self._weather[pair]
            free_at = max(self._loop.time(), free_at)
            if weather.bytes_per_s is not None:
                free_at += len(data) / weather.bytes_per_s
            await under_way.put((free_at + weather.delay_s, data))

    async def _until_fair(
        self, pair: tuple[str, str], suits: Callable[[Weather], bool] = lambda _weather: True
    ) -> None:
        # changed by another thread, which no event of this loop tells of
        while self._weather[pair].cut or not suits(self._weather[pair]):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
