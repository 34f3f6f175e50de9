"""Our values as protobuf messages and back; what a peer sent is bounded and checked on the way in."""

import math
from dataclasses import dataclass

from gossipfl.core.handshake import Greeting, LedgerHead
from gossipfl.core.mass import GRID, LARGEST
from gossipfl.core.membership import Mark
from gossipfl.core.messages import Header
from gossipfl.errors import MessageError
from gossipfl.net.reports import MemberReport
from gossipfl.v1 import gossip_pb2 as pb


@dataclass(frozen=True, slots=True)
class Opening:
    """A Hello: the greeting and what only the network uses.

    Attributes:
        greeting: for the driver.
        certificate: the sender's, PEM; empty when insecure.
        seen: the receiver's newest message that arrived at the sender.
    """

    greeting: Greeting
    certificate: bytes
    seen: Mark


@dataclass(frozen=True, slots=True)
class Envelope:
    """All of a message but its payload.

    Attributes:
        sender, receiver: node names.
        mark: incarnation and sequence.
        acknowledged: the receiver's newest message that arrived at the sender.
        header: of the protocol.
        codec: name.
        publication: its number in the sender's life, from 1.
        reference: number of the publication that the payload is a difference to, if the codec is one of differences.
        layout: SHA-256 of the adapter's layout.
        payload_bytes: size of what follows in chunks.
        digest: BLAKE3 of it.
        ledger_head: covers the state; None without privacy.
        after: number of the publication whose flow this one's is found from; 0: nothing had crossed the edge; None:
            it is not found, it comes with the message, or there is none.
        flow_bytes: at the payload's end, that hold the flow itself.
        letter: kind of letter that the payload is, under protection; empty: it is a state.
        roster: of the letter.
    """

    sender: str
    receiver: str
    mark: Mark
    acknowledged: Mark
    header: Header
    codec: str
    publication: int
    reference: int
    layout: bytes
    payload_bytes: int
    digest: bytes
    ledger_head: LedgerHead | None
    after: int | None = None
    flow_bytes: int = 0
    letter: str = ""
    roster: bytes = b""

    @property
    def exchange(self) -> str:
        """By what the logs of both ends name it."""
        return exchange(self.sender, self.mark)


def exchange(sender: str, mark: Mark) -> str:
    """SENDER/INCARNATION/SEQUENCE: no two messages share it, and both ends know it."""
    return f"{sender}/{mark[0]}/{mark[1]}"


def hello_of(opening: Opening) -> pb.Hello:
    """As it travels."""
    greeting = opening.greeting
    return pb.Hello(
        protocol_version=greeting.protocol_version,
        name=greeting.name,
        fingerprint=dict(greeting.fingerprint),
        basis_sketch=greeting.basis_sketch,
        codecs=greeting.codecs,
        incarnation=greeting.incarnation,
        seen_incarnation=greeting.seen_incarnation,
        topology_version=greeting.topology_version,
        ledger_head=_head_message(greeting.ledger_head),
        certificate=opening.certificate,
        noise_key=greeting.noise_key,
        trace_seed=greeting.trace_seed,
        seen_message=pb.Mark(incarnation=opening.seen[0], sequence=opening.seen[1]),
    )


def opening_of(hello: pb.Hello) -> Opening:
    """As it came; nothing in it is checked yet."""
    greeting = Greeting(
        protocol_version=hello.protocol_version,
        name=hello.name,
        fingerprint=dict(hello.fingerprint),
        basis_sketch=tuple(hello.basis_sketch),
        codecs=tuple(hello.codecs),
        incarnation=hello.incarnation,
        seen_incarnation=hello.seen_incarnation,
        topology_version=hello.topology_version,
        ledger_head=_head_of(hello.ledger_head) if hello.HasField("ledger_head") else None,
        noise_key=hello.noise_key,
        trace_seed=hello.trace_seed,
    )
    seen = (hello.seen_message.incarnation, hello.seen_message.sequence)
    return Opening(greeting, hello.certificate, seen)


def envelope_message(envelope: Envelope) -> pb.Envelope:
    """As it travels."""
    header = envelope.header
    return pb.Envelope(
        sender=envelope.sender,
        receiver=envelope.receiver,
        incarnation=envelope.mark[0],
        sequence=envelope.mark[1],
        acknowledged_incarnation=envelope.acknowledged[0],
        acknowledged=envelope.acknowledged[1],
        round=header.round,
        step=header.step,
        push_weight=header.push_weight,
        codec=envelope.codec,
        publication=envelope.publication,
        reference=envelope.reference,
        after=envelope.after,
        flow_bytes=envelope.flow_bytes,
        done=header.done,
        settled=header.settled,
        ledger_head=_head_message(envelope.ledger_head),
        payload_bytes=envelope.payload_bytes,
        digest=envelope.digest,
        layout=envelope.layout,
        settle_rounds=header.settle_rounds,
        asks=header.asks,
        answers=header.answers,
        booked=header.booked,
        letter=envelope.letter,
        roster=envelope.roster,
    )


def envelope_of(message: pb.Envelope, *, peer: str) -> Envelope:
    """As it came.

    Raises:
        MessageError: reason nan, infinity or weight: the push-sum weight is none.
    """
    weight = message.push_weight
    if not 0 <= weight <= LARGEST or weight % GRID:
        reason = "nan" if math.isnan(weight) else "weight" if math.isfinite(weight) else "infinity"
        raise MessageError(f"{peer!r} sent the push-sum weight {weight}", peer=peer, reason=reason)
    settle_rounds = message.settle_rounds if message.HasField("settle_rounds") else None
    header = Header(
        round=message.round,
        step=message.step,
        done=message.done,
        settled=message.settled,
        push_weight=weight,
        settle_rounds=settle_rounds,
        asks=message.asks,
        answers=message.answers,
        booked=message.booked,
    )
    return Envelope(
        sender=message.sender,
        receiver=message.receiver,
        mark=(message.incarnation, message.sequence),
        acknowledged=(message.acknowledged_incarnation, message.acknowledged),
        header=header,
        codec=message.codec,
        publication=message.publication,
        reference=message.reference,
        after=message.after if message.HasField("after") else None,
        flow_bytes=message.flow_bytes,
        layout=message.layout,
        payload_bytes=message.payload_bytes,
        digest=message.digest,
        letter=message.letter,
        roster=message.roster,
        ledger_head=_head_of(message.ledger_head) if message.HasField("ledger_head") else None,
    )


def members_message(members: list[MemberReport]) -> pb.MembersReply:
    """As it travels."""
    rows = [pb.Member(name=row.name, address=row.address, up=row.up, incarnation=row.incarnation) for row in members]
    return pb.MembersReply(members=rows)


def members_of(reply: pb.MembersReply) -> list[MemberReport]:
    """As it came."""
    return [MemberReport(row.name, row.address, row.up, row.incarnation) for row in reply.members]


def _head_message(head: LedgerHead | None) -> pb.LedgerHead | None:
    if head is None:
        return None
    return pb.LedgerHead(
        charges=head.charges, hash=bytes.fromhex(head.hash), incarnation=head.incarnation, signature=head.signature
    )


def _head_of(head: pb.LedgerHead) -> LedgerHead:
    return LedgerHead(head.charges, head.hash.hex(), head.incarnation, head.signature)
