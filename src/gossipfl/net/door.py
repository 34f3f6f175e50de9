"""Who is calling, and may they: a client's certificate decides, and what does not fit is counted and turned away."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from gossipfl.errors import HandshakeError, PeerError
from gossipfl.net.certificate_files import subject_name
from gossipfl.net.context import Context
from gossipfl.net.duplex import AcceptedDuplex, LinkLostError
from gossipfl.net.handshake import DUPLICATE, NOT_YET, read_opening
from gossipfl.net.intake import Callers
from gossipfl.net.neighbors import Neighbor
from gossipfl.net.relay import NOBODY
from gossipfl.net.revocations import Revocations
from gossipfl.net.wire import Opening

logger = logging.getLogger(__name__)
T = TypeVar("T")
Call = Any
"""A `grpc.aio.ServicerContext`: grpc has no types of its own."""
_CODES = {
    **dict.fromkeys(("unknown_sender", "sender", "certificate"), grpc.StatusCode.PERMISSION_DENIED),
    "rate": grpc.StatusCode.RESOURCE_EXHAUSTED,
    **dict.fromkeys(("relay", NOBODY), grpc.StatusCode.UNAVAILABLE),
}
"""By reason; another says that what the peer is or does cannot go on."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A neighbor with an open stream and its first frame read.

    Attributes:
        believed: the list of revocations in which its certificate was looked for.
    """

    neighbor: Neighbor
    duplex: AcceptedDuplex
    theirs: Opening
    believed: Revocations


class Door:
    """Lets members ask and neighbors exchange."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._callers = Callers(context.limits)

    @contextlib.asynccontextmanager
    async def member(self, call: Call, *, claimed: str = "") -> AsyncIterator[str]:
        """Gives the calling node's name, which must be one of peers.yaml; a stranger's call ends here.

        So does that of a member that calls too often.
        """
        try:
            caller = self._caller(call)
            name = caller or claimed
            if claimed and claimed != name:
                raise _refused(name, "sender", f"{name!r} says that it is {claimed[:63]!r}")
            async with self._callers.admit(caller):
                yield name
        except PeerError as error:
            await self._turn_away(call, error)
            raise

    async def bearer(self, call: Call) -> str:
        """The name on a calling node's certificate, which must be a good one, of a member or not."""
        try:
            name, pem = self._certificate(call)
            if self._context.identity.insecure or name is None:
                raise _refused(name or call.peer(), "certificate", f"{call.peer()} has no certificate for a node")
            self._context.trust.check(name, pem)
            async with self._callers.admit(name):
                return name
        except PeerError as error:
            await self._turn_away(call, error)
            raise

    async def neighbor(self, call: Call, receive: Callable[[Visitor], Awaitable[T]]) -> T | None:
        """What `receive` gives for the neighbor behind a stream; None when the stream was lost.

        Whatever else goes wrong with the neighbor is counted and ends the call.
        """
        try:
            async with self._callers.admit(self._caller(call)):
                visitor = await self._visitor(call)
                try:
                    return await receive(visitor)
                finally:
                    visitor.neighbor.streams -= 1
        except PeerError as error:
            await self._turn_away(call, error)
        except TimeoutError:
            peer = self._name_or_address(call)
            await self._turn_away(call, _refused(peer, "timeout", f"{peer!r} took too long to greet"))
        except LinkLostError as lost:
            logger.debug("a stream was lost before its end: %s", lost)
        return None

    async def guest(self, call: Call, carry: Callable[[str, AcceptedDuplex], Awaitable[None]]) -> None:
        """Lets a neighbor have a tunnel, which ends with `carry`."""
        try:
            name = self._caller(call)
            if name is None:
                raise _refused(call.peer(), "relay", "tunnels need TLS: without it nobody knows who comes")
            if name not in self._context.neighbors:
                raise _refused(name, "unknown_sender", f"{name!r} is no neighbor of this node")
            async with self._callers.admit(name):
                await carry(name, AcceptedDuplex(call))
        except PeerError as error:
            await self._turn_away(call, error)
        except TimeoutError:
            peer = self._name_or_address(call)
            await self._turn_away(call, _refused(peer, "timeout", f"{peer!r} did not say what its tunnel is for"))
        except LinkLostError as lost:
            logger.debug("a tunnel was lost: %s", lost)

    def count(self, error: PeerError) -> None:
        """Among the rejections."""
        if error.reason not in {DUPLICATE, NOBODY, NOT_YET}:
            self._context.counters.reject(error)

    async def _visitor(self, call: Call) -> Visitor:
        believed, name, duplex = self._context.trust.revoked, self._caller(call), AcceptedDuplex(call)
        if name is not None and name not in self._context.neighbors:
            raise self._no_neighbor(name)
        async with asyncio.timeout(self._context.limits.connect_timeout_s):
            theirs = await read_opening(duplex, peer=name or call.peer())
        neighbor = self._context.neighbors.get(name or theirs.greeting.name)
        if neighbor is None:
            raise self._no_neighbor(theirs.greeting.name[:63])
        if not neighbor.admit_stream():
            raise _refused(neighbor.name, "streams", f"{neighbor.name!r} has too many streams open")
        return Visitor(neighbor, duplex, theirs, believed)

    def _caller(self, call: Call) -> str | None:
        """The node that TLS has verified; None when there is no TLS and names are believed.

        Raises:
            HandshakeError: reason unknown_sender or certificate.
        """
        if self._context.identity.insecure:
            return None
        name, pem = self._certificate(call)
        # this node's own certificate too: `gossipfl status` on its machine asks with it
        if name is None or name not in {*self._context.members, self._context.identity.name}:
            if name is not None and self._context.mesh is not None:
                self._context.trust.check(name, pem)
                raise _refused(name, NOT_YET, f"{name!r} has not been heard to be up")
            raise _refused(
                name or call.peer(), "unknown_sender", f"a certificate for {name!r}, who is not in peers.yaml"
            )
        self._context.trust.admit(name, pem)
        return name

    def _no_neighbor(self, name: str) -> HandshakeError:
        reason = "unknown_sender" if self._context.mesh is None else NOT_YET
        return _refused(name, reason, f"{name!r} is no neighbor of this node")

    def _certificate(self, call: Call) -> tuple[str | None, bytes]:
        pem = b"".join(call.auth_context().get("x509_pem_cert", ()))
        return (subject_name(pem), pem) if pem else (None, pem)

    def _name_or_address(self, call: Call) -> str:
        if self._context.identity.insecure:
            return str(call.peer())
        return self._certificate(call)[0] or str(call.peer())

    async def _turn_away(self, call: Call, error: PeerError) -> None:
        self.count(error)
        await call.abort(_CODES.get(error.reason, grpc.StatusCode.FAILED_PRECONDITION), f"{error.reason}: {error}")


def _refused(peer: str, reason: str, message: str) -> HandshakeError:
    return HandshakeError(message, peer=peer, reason=reason)
