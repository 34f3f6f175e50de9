"""What all parts of a transport share, and how they turn it into links."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gossipfl.config.peers import NodeConfig
from gossipfl.core.handshake import Greeting, check_greeting
from gossipfl.errors import HandshakeError, MessageError
from gossipfl.net.arrivals import Arrival, Enclosed, Spoiled
from gossipfl.net.counters import Counters
from gossipfl.net.duplex import Duplex
from gossipfl.net.events import Arrived, Delivered, NetEvent, PaperCame, Spoke, Undelivered
from gossipfl.net.handshake import NOT_YET
from gossipfl.net.identity import Identity
from gossipfl.net.inbox import Checks
from gossipfl.net.limits import Limits
from gossipfl.net.links import Link, Wiring
from gossipfl.net.mesh import Mesh
from gossipfl.net.neighbors import Neighbor
from gossipfl.net.outbox import Outgoing
from gossipfl.net.passage import Passage, log_message, unnoticed
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import EdgeReport, MemberReport, StatusDetails, StatusSnapshot
from gossipfl.net.revocations import Revocations
from gossipfl.net.wire import Envelope, Opening
from gossipfl.protection.letters import Letter

logger = logging.getLogger(__name__)


def follows_none(_: bytes) -> str:
    """The answer to every plan, of a transport without a driver that follows any."""
    return "this node follows no plans"


@dataclass(frozen=True, slots=True)
class Context:
    """A transport's parts.

    Attributes:
        identity: who this node is.
        trust: whom it believes.
        me: this node in peers.yaml.
        members: all nodes of peers.yaml, or that are up, by name; changed by the transport only.
        neighbors: those it exchanges with, by name; likewise.
        checks: what messages are held against.
        counters: figures.
        limits: bounds.
        greet: our greeting for a peer, as of now.
        deliver: the driver's ear; called on the event loop.
        status: the driver's figures.
        carries: bytes between neighbors that cannot reach each other.
        mesh: of dynamic membership; None where the members are those of peers.yaml.
        asked: takes a signed plan that a member brought; why it is not followed, empty: it is.
        passed: told of every message on a link that came through.
    """

    identity: Identity
    trust: Trust
    me: NodeConfig
    members: Mapping[str, NodeConfig]
    neighbors: Mapping[str, Neighbor]
    checks: Checks
    counters: Counters
    limits: Limits
    greet: Callable[[str], Greeting]
    deliver: Callable[[NetEvent], None]
    status: Callable[[], StatusSnapshot]
    carries: bool = True
    mesh: Mesh | None = None
    asked: Callable[[bytes], str] = follows_none
    passed: Callable[[Passage], None] = unnoticed

    def opening(self, peer: str) -> Opening:
        """Our Hello for a peer, as of now."""
        return Opening(self.greet(peer), self.identity.certificate, self.checks.freshness.seen(peer))

    def check_opening(self, theirs: Opening, *, peer: str) -> None:
        """Returns if a neighbor, whom TLS has verified, runs what we run.

        Raises:
            HandshakeError: what does not fit.
        """
        if theirs.greeting.name != peer:
            claimed = theirs.greeting.name[:63]
            raise HandshakeError(f"{peer!r} says that it is {claimed!r}", peer=peer, reason="sender")
        if theirs.certificate and not self.identity.insecure:
            self.trust.admit(peer, theirs.certificate)
        check_greeting(self.greet(peer), theirs.greeting)
        if not self._is_second(theirs.greeting, peer=peer):
            self.checks.greeted(theirs.greeting.ledger_head, peer=peer)

    def _is_second(self, greeting: Greeting, *, peer: str) -> bool:
        """Whether a link of this very life is in use: heads come with its messages.

        Both ends dial, so a greeting on the other stream may overtake them as well as be overtaken.
        """
        head, known, neighbor = greeting.ledger_head, self.checks.heads.heads().get(peer), self.neighbors.get(peer)
        if head is None or known is None or neighbor is None or not neighbor.up:
            return False
        return head.incarnation == known.incarnation == greeting.incarnation

    def check_still_believed(self, believed: Revocations, *, peer: str) -> None:
        """Returns if no list of revocations came since a peer's certificate was looked at.

        Args:
            believed: `Trust.revoked` before that.

        Raises:
            HandshakeError: reason not_yet: one came, and the certificate may be in it; it is looked at the next time.
        """
        if self.trust.revoked != believed:
            raise HandshakeError("a newer list of revocations came meanwhile", peer=peer, reason=NOT_YET)

    def link(self, duplex: Duplex, neighbor: Neighbor, ours: Opening, theirs: Opening, *, dialed_by: str) -> Link:
        """A link on a stream whose greeting is done."""
        name = neighbor.name
        neighbor.outbox.reads(theirs.greeting.codecs, self.checks.codec.name)
        wiring = Wiring(
            peer=name,
            dialed_by=dialed_by,
            checks=self.checks,
            told=ours.seen,
            outbox=neighbor.outbox,
            intake=neighbor.intake,
            tally=self.counters.of(name),
            timeout_s=self.limits.message_timeout_s,
            envelope=lambda message: self.envelope(name, message),
            arrived=self.arrived,
            reject=self.counters.reject,
            undelivered=lambda: self.deliver(Undelivered(name)),
            paper=lambda line: self.deliver(PaperCame(name, line)),
            passed=self.passed,
        )
        return Link(duplex, wiring, theirs)

    def envelope(self, receiver: str, message: Outgoing) -> Envelope:
        """A message as it leaves now: a queued one gets this life's number, and a head no older than the last shown."""
        greeting, parcel = self.greet(receiver), message.parcel
        return Envelope(
            sender=self.identity.name,
            receiver=receiver,
            mark=(greeting.incarnation, message.sequence),
            acknowledged=self.checks.freshness.seen(receiver),
            header=message.header,
            codec=parcel.codec,
            publication=message.bundle.number,
            reference=parcel.reference or 0,
            after=message.after,
            flow_bytes=parcel.flow_bytes,
            letter=parcel.letter,
            roster=parcel.roster,
            layout=message.bundle.layout,
            payload_bytes=parcel.payload_bytes,
            digest=parcel.digest,
            ledger_head=greeting.ledger_head or message.ledger_head,
        )

    def arrived(self, message: Arrival) -> None:
        """Hands a message to the driver."""
        envelope = message.envelope
        if not isinstance(message, Spoiled):
            self.counters.of(envelope.sender).messages_received += 1
        log_message("spoiled from %s" if isinstance(message, Spoiled) else "arrived from %s", envelope.sender, envelope)
        if isinstance(message, Enclosed):
            me = self.identity.name
            letter = Letter(envelope.letter, me, message.content, envelope.header, envelope.roster)
            self.deliver(Delivered(envelope.sender, letter))
            return
        if (neighbor := self.neighbors.get(envelope.sender)) is not None:
            neighbor.intake.handed_over()
        if isinstance(message, Spoiled):
            self.deliver(Spoke(envelope.sender, envelope.header))
            return
        self.deliver(Arrived(envelope.sender, message.state, envelope.header, *envelope.mark, message.flow))

    def garbage(self, peer: str, what: str) -> MessageError:
        """An error of reason garbage, counted."""
        error = MessageError(f"{peer!r} {what}", peer=peer, reason="garbage")
        self.counters.reject(error)
        return error

    def snapshot(self, *, details: bool = False) -> StatusSnapshot:
        """The driver's figures and the network's."""
        said = self.status()
        return replace(
            said,
            neighbors_up=sum(neighbor.up for neighbor in self.neighbors.values()),
            neighbors=len(self.neighbors),
            bytes_sent=self.counters.bytes_sent,
            bytes_received=self.counters.bytes_received,
            rejected=self.counters.rejected,
            details=self._details(said.details or StatusDetails()) if details else None,
        )

    def _details(self, said: StatusDetails) -> StatusDetails:
        edges = {name: self._edge(name, said.edges.get(name, EdgeReport())) for name in self.neighbors}
        return replace(said, edges=edges, rejections=self.counters.last_rejections())

    def _edge(self, name: str, said: EdgeReport) -> EdgeReport:
        tally = self.counters.of(name)
        up, sent, received = self.neighbors[name].up, tally.bytes_sent, tally.bytes_received
        return replace(said, up=up, bytes_sent=sent, bytes_received=received)

    def pinned_strangers(self) -> list[NodeConfig]:
        """Members whose certificate nobody vouches for but themselves, and whom no link makes known."""
        others = [node for name, node in self.members.items() if name not in self.neighbors]
        wanted = self.identity.pins if self.identity.authority is None else {}
        return [node for node in others if node.name in wanted and node.address is not None]

    def member_reports(self) -> list[MemberReport]:
        """Every node of peers.yaml but this one, as seen from here."""
        reports = []
        for name, node in self.members.items():
            neighbor = self.neighbors.get(name)
            greeting = neighbor.greeting if neighbor else None
            incarnation = greeting.incarnation if greeting else 0
            reports.append(MemberReport(name, node.address or "", bool(neighbor and neighbor.up), incarnation))
        return reports
