"""Nodes on loopback for tests: real gRPC, real certificates, events instead of waiting."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import numpy as np

from gossipfl.config.peers import NodeConfig
from gossipfl.core.codecs import Codec
from gossipfl.core.codecs.dtypes import Plain
from gossipfl.core.codecs.packing import NOTHING
from gossipfl.core.handshake import Greeting
from gossipfl.core.mass import Flow
from gossipfl.core.messages import Header, Packet, Publishable, Receipt
from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.events import Arrived, NetEvent, Spoke
from gossipfl.net.framing import ack_frame, envelope_frame, hello_frame, parse_frame
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import KeyPair, make_authority, make_node
from gossipfl.net.limits import Limits
from gossipfl.net.outbox import Bundle, Parcel
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.transport import Transport
from gossipfl.net.wire import Envelope, Opening, envelope_message, hello_of
from gossipfl.state import AdapterSpec, AdapterState, Segment
from gossipfl.studies.free_ports import free_ports
from gossipfl.v1 import gossip_pb2 as pb

SPEC = AdapterSpec((Segment("head.weight", (5, 7)), Segment("core_R", (8, 8))))
WAIT_S = 15.0
QUICK = Limits(backoff_s=0.02, max_backoff_s=0.1, refused_s=0.2, connect_timeout_s=5.0, message_timeout_s=5.0)
Kind = TypeVar("Kind")


def free_port() -> int:
    """A port that was free a moment ago."""
    return free_ports(1)[0]


def state_of(seed: int, spec: AdapterSpec = SPEC) -> AdapterState:
    """A random state."""
    return AdapterState(spec, np.random.default_rng(seed).standard_normal(spec.size).astype(np.float32))


def packet_of(state: AdapterState) -> Packet[AdapterState]:
    """As privacy would clear it and fp32 encode it."""
    payload = Plain().encode(state.vector, state.spec, NOTHING)
    return Packet(Publishable(state, Receipt()), state, payload=payload)


@dataclass
class Player:
    """A node: its transport and what its driver heard."""

    name: str
    transport: Transport
    greeting: dict[str, Any]
    events: "asyncio.Queue[NetEvent]" = field(default_factory=asyncio.Queue)

    async def event(self, kind: type[Kind]) -> Kind:
        """The next event of a kind; others before it are skipped."""
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await self.events.get()
                if isinstance(event, Arrived | Spoke):
                    self.transport.handled(event.sender)
                if isinstance(event, kind):
                    return event

    def post(self, receiver: str, state: AdapterState, *, round: int = 0, replaceable: bool = True) -> int:
        """Posts a state."""
        head = self.greeting["ledger_head"]
        return self.transport.post(receiver, packet_of(state), Header(round, 1), head, replaceable=replaceable)


class World:
    """Some nodes with one authority."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.authority = make_authority()
        self.nodes: dict[str, NodeConfig] = {}
        self.pairs: dict[str, KeyPair] = {}
        self.spec = SPEC
        self.specs: dict[str, AdapterSpec] = {}

    def add(self, name: str, *, dials_only: bool = False, pair: KeyPair | None = None) -> NodeConfig:
        """A node of peers.yaml."""
        address = None if dials_only else f"127.0.0.1:{free_port()}"
        self.nodes[name] = NodeConfig(name=name, address=address)
        self.pairs[name] = pair or make_node(name, address, authority=self.authority)
        return self.nodes[name]

    def identity(self, name: str) -> Identity:
        """By the authority."""
        pair = self.pairs[name]
        return Identity(name, pair.certificate, pair.key, self.authority.certificate)

    def player(  # noqa: PLR0913  # what a test varies, by name
        self,
        name: str,
        *neighbors: str,
        identity: Identity | None = None,
        limits: Limits = QUICK,
        codec: Codec | None = None,
        keeps_books: bool = False,
        letters: Mapping[str, range] | None = None,
        relays: Mapping[str, Sequence[str]] | None = None,
        carries: bool = True,
        **greeting: object,
    ) -> Player:
        """A node's transport, not entered yet."""
        said = {**plain_greeting(name), **greeting}
        events: asyncio.Queue[NetEvent] = asyncio.Queue()
        transport = Transport(
            identity or self.identity(name),
            self.nodes[name],
            [self.nodes[other] for other in neighbors],
            greet=lambda _: Greeting(**said),
            origin=AdapterState.zeros(self.spec),
            codec=codec or Plain(),
            limits=limits,
            deliver=events.put_nowait,
            status=lambda: StatusSnapshot(name, step=3, epsilon=1.5),
            members=list(self.nodes.values()),
            specs=self.specs,
            keeps_books=keeps_books,
            letters=letters,
            relays={other: [self.nodes[relay] for relay in names] for other, names in (relays or {}).items()},
            carries=carries,
        )
        return Player(name, transport, said, events)

    @contextlib.asynccontextmanager
    async def stranger(self, name: str, to: str, *, identity: Identity | None = None) -> AsyncIterator["Raw"]:
        """A raw client with a node's certificate: it says what the test makes it say."""
        who = identity or self.identity(name)
        address = self.nodes[to].address
        assert address is not None
        async with open_channel(who, Trust(who), to, address, keepalive_s=10) as channel:
            yield Raw(name, to, channel, channel.stream_stream(f"/{SERVICE}/Exchange")())


@dataclass
class Raw:
    """One hand-driven Exchange stream."""

    name: str
    to: str
    channel: Any
    call: Any
    sequence: int = 0

    async def greet(self, *, certificate: bytes = b"", **changes: object) -> pb.Ack:
        """Says Hello, hears Hello and the verdict, says welcome; the verdict."""
        greeting = Greeting(**{**plain_greeting(self.name), **changes})
        await self.call.write(hello_frame(hello_of(Opening(greeting, certificate, (0, 0)))))
        assert isinstance(await self.read(), pb.Hello)
        verdict = await self.read()
        assert isinstance(verdict, pb.Ack)
        if not verdict.rejected:
            await self.call.write(ack_frame())
        return verdict

    async def read(self) -> object:
        """The next frame; None when the stream has ended, however it did."""
        async with asyncio.timeout(WAIT_S):
            try:
                data = await self.call.read()
            except grpc.RpcError:
                return None
        return None if data is grpc.aio.EOF else parse_frame(data, peer=self.to)

    def envelope(self, state: AdapterState, **changes: object) -> Envelope:
        """A good envelope with something changed."""
        self.sequence += 1
        bundle = Bundle(packet_of(state), "fp32")
        fields: dict[str, Any] = {
            "sender": self.name,
            "receiver": self.to,
            "mark": (1, self.sequence),
            "acknowledged": (0, 0),
            "header": Header(0, 1),
            "codec": "fp32",
            "publication": self.sequence,
            "reference": 0,
            "layout": bundle.layout,
            "payload_bytes": bundle.usual.payload_bytes,
            "digest": bundle.usual.digest,
            "ledger_head": None,
        }
        return Envelope(**{**fields, **changes})

    async def send(self, state: AdapterState, **changes: object) -> None:
        """A whole message with something changed in its envelope."""
        await self.announce(self.envelope(state, **changes))
        await self.write(Bundle(packet_of(state), "fp32").usual)

    async def send_with(self, state: AdapterState, flow: Flow[AdapterState], **changes: object) -> None:
        """The same, with all that ever crossed the edge."""
        parcel = Bundle(packet_of(state), "fp32").with_totals(flow, whole=True)
        said = {
            "payload_bytes": parcel.payload_bytes,
            "flow_bytes": parcel.flow_bytes,
            "digest": parcel.digest,
            "header": Header(0, 1, push_weight=flow.weight),
        }
        await self.announce(self.envelope(state, **{**said, **changes}))
        await self.write(parcel)

    async def write(self, parcel: Parcel) -> None:
        """A payload."""
        for frame in parcel.frames:
            await self.call.write(frame)

    async def announce(self, envelope: Envelope) -> None:
        """An envelope without its payload."""
        await self.call.write(envelope_frame(envelope_message(envelope)))


def plain_greeting(name: str) -> dict[str, Any]:
    """What every node of a test says unless it says otherwise."""
    return {
        "protocol_version": 1,
        "name": name,
        "fingerprint": {"model": "m", "adapter": "a"},
        "basis_sketch": (),
        "codecs": ("fp32",),
        "incarnation": 1,
        "seen_incarnation": 0,
        "topology_version": 1,
        "ledger_head": None,
    }


class Rejections(logging.Handler):
    """Hears rejections as they are logged, so that a test can wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        if hasattr(record, "reason"):
            self.heard.put_nowait({**vars(record), "text": record.getMessage()})

    async def wait(self, reason: str, suits: Callable[[str], bool] = lambda _: True) -> str:
        """The line logged for a reason."""
        async with asyncio.timeout(WAIT_S):
            while True:
                heard = await self.heard.get()
                if heard["reason"] == reason and suits(heard["text"]):
                    return str(heard["text"])
