"""Asking a node without being its neighbor: what `gossipfl status` and the dashboard do."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import grpc

from gossipfl.config.peers import NodeConfig
from gossipfl.core.handshake import Greeting
from gossipfl.errors import HandshakeError
from gossipfl.net.channels import SERVICE, reach
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import MemberReport, StatusSnapshot
from gossipfl.net.status_wire import REPLY_BYTES, status_of
from gossipfl.net.wire import members_of, opening_of
from gossipfl.v1 import gossip_pb2 as pb

Answer = TypeVar("Answer")
_KEEPALIVE_S = 10.0
LONGEST_REFUSAL = 300


class Line:
    """Questions to one node, for as long as it is entered.

    The channel of the first question is kept for the next; after one without an answer a new one is made, so that a
    node that is back is found at once.
    """

    def __init__(self, trust: Trust, peer: NodeConfig) -> None:
        self._trust = trust
        self._peer = peer
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hang_up()

    async def status(self, timeout_s: float, *, details: bool = False) -> StatusSnapshot | None:
        """How far the node is; None when it has no address, does not answer in time or does not know us."""

        async def ask(channel: "grpc.aio.Channel") -> StatusSnapshot:
            call = channel.unary_unary(
                f"/{SERVICE}/Status", pb.StatusRequest.SerializeToString, pb.StatusReply.FromString
            )
            return status_of(await call(pb.StatusRequest(details=details), timeout=timeout_s))

        return await self._ask(ask, timeout_s)

    async def members(self, timeout_s: float) -> list[MemberReport] | None:
        """Whom the node knows; None as in `status`."""

        async def ask(channel: "grpc.aio.Channel") -> list[MemberReport]:
            call = channel.unary_unary(
                f"/{SERVICE}/Members", pb.MembersRequest.SerializeToString, pb.MembersReply.FromString
            )
            return members_of(await call(pb.MembersRequest(), timeout=timeout_s))

        return await self._ask(ask, timeout_s)

    async def greeting(self, timeout_s: float) -> Greeting | None:
        """What the node says of itself; None as in `status`."""

        async def ask(channel: "grpc.aio.Channel") -> Greeting:
            call = channel.unary_unary(f"/{SERVICE}/Greet", pb.Hello.SerializeToString, pb.Hello.FromString)
            me = self._trust.identity.name
            return opening_of(await call(pb.Hello(name=me), timeout=timeout_s)).greeting

        return await self._ask(ask, timeout_s)

    async def bring(self, paper: bytes, timeout_s: float) -> str | None:
        """Brings a signed plan: why the node does not follow it, empty: it does; None as in `status`."""

        async def ask(channel: "grpc.aio.Channel") -> str:
            call = channel.unary_unary(f"/{SERVICE}/Ask", pb.Paper.SerializeToString, pb.Asked.FromString)
            asked = await call(pb.Paper(line=paper), timeout=timeout_s)
            return str(asked.refused[:LONGEST_REFUSAL])

        return await self._ask(ask, timeout_s)

    async def _ask(self, ask: Callable[["grpc.aio.Channel"], Awaitable[Answer]], timeout_s: float) -> Answer | None:
        if self._peer.address is None:
            return None
        try:
            return await ask(await self._opened(self._peer.address, timeout_s))
        except (grpc.RpcError, HandshakeError, OSError, TimeoutError):
            await self._hang_up()
            return None

    async def _opened(self, address: str, timeout_s: float) -> "grpc.aio.Channel":
        if self._channel is None:
            bounds = [("grpc.max_receive_message_length", REPLY_BYTES)]
            self._channel = await reach(
                self._trust, self._peer.name, address, timeout_s=timeout_s, keepalive_s=_KEEPALIVE_S, limits=bounds
            )
        return self._channel

    async def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
