"""Receiving: an Envelope is checked before a byte is kept, the payload before it is believed.

Envelope ─ checks ─> one buffer of the predicted size <─ chunks        full ─> digest ─> decode ─> numbers ─> Message
   └─ fails ─> counted; its chunks are dropped as they come, the link stays            └─ fail ─> counted, Spoiled
a chunk nobody announced, or more than announced ─> the link is dropped
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from blake3 import blake3

from gossipfl.core.codecs import Codec
from gossipfl.core.codecs.packing import FLOW_BYTES, WHOLE, Heard, Unpacker
from gossipfl.core.handshake import HeadWatch, LedgerHead
from gossipfl.core.mass import Flow
from gossipfl.core.membership import Freshness, Mark
from gossipfl.core.validation import SPOILED, check_flow, check_size, check_state, decode_state
from gossipfl.core.wide import Wide
from gossipfl.errors import HandshakeError, MessageError, PeerError
from gossipfl.net.arrivals import Arrival, Enclosed, Message, Spoiled
from gossipfl.net.wire import Envelope
from gossipfl.state import AdapterSpec, AdapterState

_DTYPES = frozenset({"fp64", "fp32", "fp16", "bf16"})
"""Codecs that are plain numbers of a type: another of these is a wrong dtype."""
_ROSTER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checks:
    """What a message is held against; one for all links of a transport.

    Attributes:
        me: this node's name.
        spec: of the states exchanged.
        specs: of the states of peers that have ranks of their own.
        codec: the one in use.
        unpacker: of its differences.
        max_norm: largest Euclidean norm of a state.
        freshness: newest message of every sender.
        heads: highest ledger head of every peer.
        signed: whether a ledger head carries the named peer's signature.
        keeps_books: messages come with all that ever crossed their edge.
        letters: under protection: sizes that letters may have, by kind; no state is received then.
    """

    me: str
    spec: AdapterSpec
    codec: Codec
    unpacker: Unpacker
    max_norm: float
    signed: Callable[[str, LedgerHead], bool]
    freshness: Freshness = field(default_factory=Freshness)
    heads: HeadWatch = field(default_factory=HeadWatch)
    keeps_books: bool = False
    specs: Mapping[str, AdapterSpec] = field(default_factory=dict)
    letters: Mapping[str, range] = field(default_factory=dict)

    def envelope(self, envelope: Envelope, *, peer: str) -> None:
        """Returns if the announced message may be received; cheap checks first, the signature last.

        Raises:
            PeerError: reason sender, receiver, protection, codec, dtype, shape, size, reference, digest, replay or
                ledger.
        """
        if envelope.sender != peer:
            raise _rejected(peer, "sender", f"a message in the name of {envelope.sender[:63]!r}")
        if envelope.receiver != self.me:
            raise _rejected(peer, "receiver", f"a message for {envelope.receiver[:63]!r}")
        if envelope.layout != bytes.fromhex(self._spec(peer).digest):
            raise _rejected(peer, "shape", "a state with other names or shapes")
        if self.letters or envelope.letter:
            self._letter(envelope, peer=peer)
        else:
            self._state(envelope, peer=peer)
        if len(envelope.digest) != blake3.digest_size:
            raise _rejected(peer, "digest", f"a digest of {len(envelope.digest)} bytes")
        if envelope.mark <= self.freshness.seen(peer):
            raise _rejected(peer, "replay", f"message {envelope.mark} again or late")
        self.head(envelope.ledger_head, peer=peer)

    def _state(self, envelope: Envelope, *, peer: str) -> None:
        codec = self._codec_of(envelope, peer=peer)
        self._flow_bytes(envelope, peer=peer)
        check_size(envelope.payload_bytes - envelope.flow_bytes, codec, self._spec(peer), peer=peer)
        self._reference(envelope, codec, peer=peer)

    def _letter(self, envelope: Envelope, *, peer: str) -> None:
        """Returns if a letter is of a kind and size that this node reads; a bare state is none."""
        sizes = self.letters.get(envelope.letter)
        if sizes is None:
            kind = f"a letter {envelope.letter[:16]!r}" if envelope.letter else "a state that is not protected"
            raise _rejected(peer, "protection", kind)
        if envelope.payload_bytes not in sizes or envelope.flow_bytes or len(envelope.roster) > _ROSTER_BYTES:
            raise _rejected(peer, "size", f"{envelope.payload_bytes} bytes of a letter {envelope.letter!r}")

    def head(self, head: LedgerHead | None, *, peer: str) -> None:
        """Remembers a ledger head that is signed and did not go back.

        Raises:
            HandshakeError: reason ledger.
        """
        self.greeted(head, peer=peer)
        self.heads.accept(peer, head)

    def greeted(self, head: LedgerHead | None, *, peer: str) -> None:
        """Returns if a ledger head is signed and did not go back behind a message's.

        It is not remembered: both ends dial, and a greeting on one stream may overtake messages on the other.

        Raises:
            HandshakeError: reason ledger.
        """
        # an unchanged head was verified when it came first
        if head is not None and head != self.heads.heads().get(peer) and not self.signed(peer, head):
            raise HandshakeError(f"{peer!r} showed a ledger head that it did not sign", peer=peer, reason="ledger")
        self.heads.check(peer, head)

    def payload(self, envelope: Envelope, payload: memoryview, digest: bytes, *, peer: str) -> Message | Enclosed:
        """The message that arrived.

        Raises:
            MessageError: reason digest, replay, payload, nan, infinity or norm.
        """
        if digest != envelope.digest:
            raise _rejected(peer, "digest", "a payload that differs from its digest")
        if not self.freshness.accept(peer, *envelope.mark):
            raise _rejected(peer, "replay", f"message {envelope.mark} again")
        if envelope.letter:
            return Enclosed(envelope, payload)
        codec = self._codec_of(envelope, peer=peer)
        encoded = payload[: payload.nbytes - envelope.flow_bytes]
        state = decode_state(encoded, codec, self._spec(peer), self._reference(envelope, codec, peer=peer), peer=peer)
        check_state(state, peer=peer, max_norm=self.max_norm)
        flow = self._flow(envelope, payload[encoded.nbytes :], state, peer=peer) if self.keeps_books else None
        if self.keeps_books or not self.codec.exact:
            heard = Heard((envelope.mark[0], envelope.publication), None if self.codec.exact else state, flow)
            self.unpacker.keep(peer, heard)
        return Message(envelope, state, flow)

    def _flow_bytes(self, envelope: Envelope, *, peer: str) -> None:
        """Returns if what crosses the edge can be found: it comes with the message, or what it is added to is here."""
        wanted = self.spec.size * FLOW_BYTES
        if envelope.flow_bytes not in ({0, wanted} if self.keeps_books else {0}):
            raise _rejected(peer, "size", f"{envelope.flow_bytes} bytes of totals")
        if self.keeps_books and not envelope.flow_bytes and envelope.after is not None:
            mark = (envelope.mark[0], envelope.after)
            if not self.unpacker.knows_flow(peer, mark):
                raise _rejected(peer, "reference", f"what is added to its totals of {envelope.after}, not here")

    def _flow(
        self, envelope: Envelope, totals: memoryview, state: AdapterState, *, peer: str
    ) -> Flow[AdapterState] | None:
        weight = envelope.header.push_weight
        if not totals.nbytes:
            if envelope.after is None:
                return None
            flow = self.unpacker.flow(peer, (envelope.mark[0], envelope.after), weight, state)
            if flow is None:
                raise _rejected(peer, "reference", f"what is added to its totals of {envelope.after}, not here")
            check_flow(flow, peer=peer, max_norm=self.max_norm)
            return flow
        flow = Flow(weight, Wide(np.frombuffer(totals, "<f8").astype(np.float64, copy=False), self.spec))
        check_flow(flow, peer=peer, max_norm=self.max_norm)
        return flow

    def _spec(self, peer: str) -> AdapterSpec:
        return self.specs.get(peer, self.spec)

    def _codec_of(self, envelope: Envelope, *, peer: str) -> Codec:
        """The one in use, or fp32, in which a state travels whole."""
        for codec in (self.codec, WHOLE):
            if envelope.codec == codec.name:
                return codec
        reason = "dtype" if {envelope.codec, self.codec.name} <= _DTYPES else "codec"
        raise _rejected(peer, reason, f"a message in {envelope.codec[:32]!r}, {self.codec.name!r} was expected")

    def _reference(self, envelope: Envelope, codec: Codec, *, peer: str) -> AdapterState | None:
        """What the payload is added to; None: to nothing."""
        if codec.exact:
            return None
        reference = self.unpacker.reference(peer, (envelope.mark[0], envelope.reference))
        if reference is None:
            text = f"a difference to its publication {envelope.reference}, which is not here"
            raise _rejected(peer, "reference", text)
        return reference


class Receiver:
    """Puts one stream's messages together.

    Args:
        peer: whose stream it is.
        checks: what its messages are held against.
        reject: told of every message that failed.
        told: the newest message of the peer's that it knows we have; what came after it, by a link before this one,
            may come again, and is dropped without a word. None: nothing may.
    """

    def __init__(
        self, peer: str, checks: Checks, reject: Callable[[PeerError, int], None], *, told: Mark | None = None
    ) -> None:
        self._peer = peer
        self._checks = checks
        self._reject = reject
        self._told = told
        self._came_before: Mark | None = None
        self._envelope: Envelope | None = None
        self._buffer = memoryview(b"")
        self._filled = 0
        self._digest = blake3()
        self._skip_bytes = 0

    @property
    def busy(self) -> bool:
        """A message has begun and is not complete, or the rest of a rejected one is to come."""
        return self._envelope is not None or self._skip_bytes > 0

    def announce(self, envelope: Envelope) -> None:
        """Begins a message; one that is not complete is lost."""
        self.skip(0)
        if self._came_before is None:
            self._came_before = self._checks.freshness.seen(self._peer)
        try:
            self._checks.envelope(envelope, peer=self._peer)
        except PeerError as error:
            self.skip(envelope.payload_bytes)
            if error.reason != "replay" or not self._may_repeat(envelope.mark):
                self._reject(error, envelope.mark[1])
            return
        self._envelope = envelope
        # not zeroed, and in huge pages when it is large; nobody sees it before it is full
        self._buffer = np.empty(envelope.payload_bytes, np.uint8).data
        self._filled = 0
        self._digest = blake3()

    def skip(self, payload_bytes: int) -> None:
        """Drops a message that was announced with this size, as it comes; one that is not complete is lost."""
        self.interrupt()
        self._skip_bytes = payload_bytes

    def add(self, chunk: memoryview) -> Arrival | None:
        """Takes a chunk; the message when it is complete and passed, or failed for its numbers alone.

        Raises:
            MessageError: reason garbage or size: nothing or less was announced; the stream makes no sense any more.
        """
        if self._envelope is None:
            self._dropped(chunk.nbytes)
            return None
        end = self._filled + chunk.nbytes
        if end > self._buffer.nbytes:
            announced = self._buffer.nbytes
            self._forget()
            raise _rejected(self._peer, "size", f"more than the {announced} bytes it announced")
        self._buffer[self._filled : end] = chunk
        self._digest.update(chunk)
        self._filled = end
        return self._complete(self._envelope) if end == self._buffer.nbytes else None

    def _may_repeat(self, mark: Mark) -> bool:
        """Whether it came by an earlier link after we had said, on this one, what has come."""
        return self._told is not None and self._came_before is not None and self._told < mark <= self._came_before

    def interrupt(self) -> None:
        """Counts a message that will not be completed."""
        if self._envelope is not None:
            what = f"{self._filled} of {self._buffer.nbytes} bytes and no more"
            sequence = self._envelope.mark[1]
            self._forget()
            self._reject(_rejected(self._peer, "truncated", what), sequence)

    def _complete(self, envelope: Envelope) -> Arrival | None:
        buffer, digest = self._buffer, self._digest.digest()
        self._forget()
        try:
            return self._checks.payload(envelope, buffer.toreadonly(), digest, peer=self._peer)
        except PeerError as error:
            self._reject(error, envelope.mark[1])
            return Spoiled(envelope) if error.reason in SPOILED else None

    def _dropped(self, count_bytes: int) -> None:
        if count_bytes > self._skip_bytes:
            self._skip_bytes = 0
            raise _rejected(self._peer, "garbage", "a chunk that belongs to no message")
        self._skip_bytes -= count_bytes

    def _forget(self) -> None:
        self._envelope, self._buffer, self._filled = None, memoryview(b""), 0


def _rejected(peer: str, reason: str, what: str) -> MessageError:
    return MessageError(f"{peer!r} sent {what}", peer=peer, reason=reason)
