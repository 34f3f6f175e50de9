"""A program that means no good: with a neighbor's certificate it says to a node whatever comes to its mind.

python -m gossipfl.net.flood PEERS NAME TARGET SECONDS      ends by itself
"""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from gossipfl.config.addresses import parse_address
from gossipfl.config.loading import load_peers
from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.framing import envelope_frame, hello_frame
from gossipfl.net.identity import load_identity
from gossipfl.net.pinning import Trust
from gossipfl.v1 import gossip_pb2 as pb

_LOSES = (grpc.RpcError, asyncio.InvalidStateError, OSError, TimeoutError, RuntimeError)
_FRAMES = 200
_PATIENCE_S = 2.0


async def flood(peers: Path, name: str, target: str, seconds: float) -> int:
    """Floods a node; how often it began anew.

    Raises:
        UserError: peers.yaml or the certificate is not what it should be.
    """
    loaded = load_peers(peers, ())
    nodes = {node.name: node for node in loaded.peers.nodes}
    identity = load_identity(loaded.peers, loaded.folder, nodes[name], neighbors=[target], insecure=False)
    address = nodes[target].address or ""
    end, times = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        async with open_channel(identity, Trust(identity), target, address, keepalive_s=10.0) as channel:
            for attack in (_noise, _promises, _chunks, _questions, lambda _: _plain(address)):
                with contextlib.suppress(*_LOSES):
                    async with asyncio.timeout(_PATIENCE_S):
                        await attack(channel)
                times += 1
    return times


async def _noise(channel: Any) -> None:  # noqa: ANN401  # grpc has no types of its own
    """Bytes that are no frames."""
    await _stream(channel, lambda: os.urandom(random.randrange(1, 1 << 16)))  # noqa: S311


async def _promises(channel: Any) -> None:  # noqa: ANN401
    """Announcements of messages that fill any memory, and of none at all."""

    def promise() -> bytes:
        return envelope_frame(pb.Envelope(sender="x" * 60, payload_bytes=1 << 62, sequence=random.randrange(1 << 60)))  # noqa: S311

    await _stream(channel, promise)


async def _chunks(channel: Any) -> None:  # noqa: ANN401
    """A greeting, and then payload that nobody announced."""
    await _stream(channel, lambda: pb.Frame(chunk=bytes(1 << 20)).SerializeToString())


async def _stream(channel: Any, frame: Callable[[], bytes]) -> None:  # noqa: ANN401
    call = channel.stream_stream(f"/{SERVICE}/Exchange")()
    try:
        await call.write(hello_frame(pb.Hello(name="n3", protocol_version=1)))
        for _ in range(_FRAMES):
            await call.write(frame())
    finally:
        call.cancel()


async def _questions(channel: Any) -> None:  # noqa: ANN401
    """Calls, many at once."""
    status = channel.unary_unary(f"/{SERVICE}/Status")
    asked: list[Awaitable[Any]] = [status(b"") for _ in range(_FRAMES)]
    await asyncio.gather(*asked, return_exceptions=True)


async def _plain(address: str) -> None:
    """A connection that is no TLS."""
    where = parse_address(address)
    _, writer = await asyncio.open_connection(where.host, where.port)
    try:
        writer.write(os.urandom(1 << 16))
        await writer.drain()
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(flood(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
