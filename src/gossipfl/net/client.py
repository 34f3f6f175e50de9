"""Asking a node without being its neighbor: what `gossipfl status` does."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from gossipfl.config.peers import NodeConfig
from gossipfl.errors import HandshakeError
from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.identity import Identity
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import MemberReport, StatusSnapshot
from gossipfl.net.wire import members_of, status_of
from gossipfl.v1 import gossip_pb2 as pb

Answer = TypeVar("Answer")
_KEEPALIVE_S = 10.0


async def ask_status(identity: Identity, peer: NodeConfig, timeout_s: float) -> StatusSnapshot | None:
    """How far a node is; None when it has no address, does not answer in time or does not know us."""

    async def ask(channel: "grpc.aio.Channel") -> StatusSnapshot:
        call = channel.unary_unary(f"/{SERVICE}/Status", pb.StatusRequest.SerializeToString, pb.StatusReply.FromString)
        return status_of(await call(pb.StatusRequest(), timeout=timeout_s))

    return await _ask(identity, peer, timeout_s, ask)


async def ask_members(identity: Identity, peer: NodeConfig, timeout_s: float) -> list[MemberReport] | None:
    """Whom a node knows; None as in `ask_status`."""

    async def ask(channel: "grpc.aio.Channel") -> list[MemberReport]:
        call = channel.unary_unary(
            f"/{SERVICE}/Members", pb.MembersRequest.SerializeToString, pb.MembersReply.FromString
        )
        return members_of(await call(pb.MembersRequest(), timeout=timeout_s))

    return await _ask(identity, peer, timeout_s, ask)


async def _ask(
    identity: Identity,
    peer: NodeConfig,
    timeout_s: float,
    ask: Callable[["grpc.aio.Channel"], Awaitable[Answer]],
) -> Answer | None:
    if peer.address is None:
        return None
    trust = Trust(identity)
    try:
        if not identity.insecure:
            await trust.fetch(peer.name, peer.address, timeout_s)
        async with open_channel(identity, trust, peer.name, peer.address, keepalive_s=_KEEPALIVE_S) as channel:
            return await ask(channel)
    except (grpc.RpcError, HandshakeError, OSError, TimeoutError):
        return None
