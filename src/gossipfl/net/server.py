"""The node's port: the Gossip service, and the standard health and reflection services.

neighbors: Exchange, Publish, Tunnel   members: Greet, Members, Status, Ask   good certificates: Tell   else: nothing
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from gossipfl.config.addresses import LOOPBACK
from gossipfl.errors import HandshakeError, MessageError, NetworkError
from gossipfl.net.channels import SERVICE, Options, keepalive_options
from gossipfl.net.context import Context
from gossipfl.net.door import Call, Door, Visitor
from gossipfl.net.framing import paper_line
from gossipfl.net.handshake import agree, greet
from gossipfl.net.publishing import Pushed
from gossipfl.net.relay import Relay
from gossipfl.net.shown import Shown
from gossipfl.net.status_wire import status_message
from gossipfl.net.wire import Opening, hello_of, members_message
from gossipfl.v1 import gossip_pb2 as pb

logger = logging.getLogger(__name__)
_STREAMS_PER_CONNECTION = 8
_TLS_HANDSHAKE_MS = 10_000


class Service:
    """The Gossip service of one node."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._door = Door(context)
        self._relay = Relay(context)

    def handler(self) -> grpc.GenericRpcHandler:
        """For the server; streams carry raw frames, see `framing`."""
        unary, codecs = grpc.unary_unary_rpc_method_handler, pb
        methods = {
            "Greet": unary(self.greet, codecs.Hello.FromString, codecs.Hello.SerializeToString),
            "Members": unary(self.members, codecs.MembersRequest.FromString, codecs.MembersReply.SerializeToString),
            # raw: its size is looked at before it is read
            "Tell": unary(self.tell, None, codecs.Told.SerializeToString),
            "Status": unary(self.status, codecs.StatusRequest.FromString, codecs.StatusReply.SerializeToString),
            # raw, likewise
            "Ask": unary(self.ask, None, codecs.Asked.SerializeToString),
            "Publish": grpc.stream_unary_rpc_method_handler(
                self.publish, response_serializer=codecs.Ack.SerializeToString
            ),
            "Exchange": grpc.stream_stream_rpc_method_handler(self.exchange),
            "Tunnel": grpc.stream_stream_rpc_method_handler(self.tunnel),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def greet(self, hello: pb.Hello, call: Call) -> pb.Hello:
        """Who this node is and what it runs; for members."""
        async with self._door.member(call, claimed=hello.name) as name:
            return hello_of(self._context.opening(name))

    async def members(self, _: pb.MembersRequest, call: Call) -> pb.MembersReply:
        """Whom this node knows; for members."""
        async with self._door.member(call):
            return members_message(self._context.member_reports())

    async def tell(self, word: bytes, call: Call) -> pb.Told:
        """A word on who is up; for whoever has a good certificate."""
        name = await self._door.bearer(call)
        mesh = self._context.mesh
        if mesh is None:
            await call.abort(grpc.StatusCode.UNIMPLEMENTED, "the nodes are those of peers.yaml here: membership static")
            return pb.Told()
        try:
            mesh.hear(name, word)
        except MessageError as error:
            self._door.count(error)
            await call.abort(grpc.StatusCode.INVALID_ARGUMENT, error.reason)
        return pb.Told()

    async def status(self, asked: pb.StatusRequest, call: Call) -> pb.StatusReply:
        """How far this node is; for members."""
        async with self._door.member(call):
            return status_message(self._context.snapshot(details=asked.details))

    async def ask(self, asked: bytes, call: Call) -> pb.Asked:
        """A signed plan; members may bring one, whoever has signed it."""
        async with self._door.member(call):
            return pb.Asked(refused=self._context.asked(paper_line(asked)))

    async def publish(self, _: AsyncIterator[bytes], call: Call) -> pb.Ack:
        """A message pushed one way; for neighbors."""
        # when the stream was lost nobody reads the answer
        return await self._door.neighbor(call, self._take_pushed) or pb.Ack()

    async def _take_pushed(self, visitor: Visitor) -> pb.Ack:
        self._context.check_opening(visitor.theirs, peer=visitor.neighbor.name)
        pushed = Pushed(self._context, visitor.neighbor, visitor.believed)
        await pushed.read_all(visitor.duplex)
        return pushed.ack

    async def exchange(self, _: AsyncIterator[bytes], call: Call) -> None:
        """A link; for neighbors."""
        await self._door.neighbor(call, self._carry)

    async def tunnel(self, _: AsyncIterator[bytes], call: Call) -> None:
        """One end of a tunnel; for neighbors."""
        await self._door.guest(call, self._relay.carry)

    async def _carry(self, visitor: Visitor) -> None:
        context, neighbor, name = self._context, visitor.neighbor, visitor.neighbor.name

        def check(theirs: Opening) -> None:
            try:
                context.check_opening(theirs, peer=name)
                neighbor.check_stays(name, theirs.greeting.incarnation)
            except HandshakeError as error:
                # before it is said: a peer that then hangs up ends this call at once
                self._door.count(error)
                raise

        ours = context.opening(name)
        async with asyncio.timeout(context.limits.connect_timeout_s):
            await greet(visitor.duplex, ours)
            await agree(visitor.duplex, visitor.theirs, check, peer=name)
        context.check_still_believed(visitor.believed, peer=name)
        ended = await neighbor.carry(context.link(visitor.duplex, neighbor, ours, visitor.theirs, dialed_by=name))
        logger.info("%s link ended: %s", name, ended, extra={"peer": name})


def _bindable(bind: str) -> str:
    """The address to give to gRPC, which takes `localhost` as bound when ::1 is free and 127.0.0.1 is not."""
    host, _, port = bind.rpartition(":")
    return f"{LOOPBACK}:{port}" if host.lower() == "localhost" else bind


async def start_server(context: Context, binds: Sequence[str]) -> "grpc.aio.Server":
    """Listens on every HOST:PORT, or unix:PATH.

    Raises:
        NetworkError: an address is not this machine's, or the port is in use.
    """
    options: Options = [
        *keepalive_options(context.limits.keepalive_s),
        # a port in use is an error, not a port shared
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
        ("grpc.server_handshake_timeout_ms", _TLS_HANDSHAKE_MS),
        # gRPC does not say whose a connection is: calls are counted by peer, connections all together
        ("grpc.max_allowed_incoming_connections", context.limits.connections),
        ("grpc.max_connection_idle_ms", round(1000 * context.limits.idle_s)),
    ]
    busiest = 16 * len(context.members) + 16
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=busiest)
    server.add_generic_rpc_handlers((Service(context).handler(),))
    await _add_standard_services(server)
    for bind in binds:
        try:
            _add_port(server, context, bind)
        except RuntimeError as error:
            raise NetworkError(f"{bind}: this node cannot listen there: port in use, or not this machine's") from error
    await server.start()
    return server


def _add_port(server: "grpc.aio.Server", context: Context, bind: str) -> None:
    if context.identity.insecure:
        server.add_insecure_port(_bindable(bind))
        return
    shown = Shown(context.identity, context.trust)
    credentials = grpc.dynamic_ssl_server_credentials(shown.now(), shown.news, require_client_authentication=True)
    server.add_secure_port(_bindable(bind), credentials)


async def _add_standard_services(server: "grpc.aio.Server") -> None:
    health = health_aio.HealthServicer()
    for name in ("", SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
