"""What waits to be sent to one neighbor: the newest message, and those that nothing may replace.

post ──> pending ──take──> on its way ──written──> unconfirmed ──the peer has seen it──> gone
           ^  newer replaces  │                         │
           └── broken off ────┴── new link, not seen ───┘
"""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from blake3 import blake3

from gossipfl.core.codecs.known import Known
from gossipfl.core.codecs.packing import WHOLE
from gossipfl.core.handshake import LedgerHead
from gossipfl.core.mass import Flow
from gossipfl.core.membership import Mark
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.net.framing import chunk_frames
from gossipfl.protection.letters import Letter
from gossipfl.state import AdapterState

LONGEST = 8
"""Messages kept for a neighbor that does not take them; the oldest make room."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A payload ready for every receiver's stream.

    Attributes:
        frames: the payload in chunks.
        payload_bytes: size of the payload.
        digest: BLAKE3 of it.
        codec: name.
        reference: number of the publication that it is a difference to; None: to none.
        flow_bytes: at its end, that hold all that ever crossed the edge.
        letter, roster: of a letter in a state's place.
    """

    frames: tuple[bytes, ...]
    payload_bytes: int
    digest: bytes
    codec: str
    reference: int | None = None
    flow_bytes: int = 0
    letter: str = ""
    roster: bytes = b""


class Bundle:
    """A publication, as a difference and whole; the same for all receivers, each made when it is first needed.

    Attributes:
        number: the publication's.
        layout: SHA-256 of the state's layout.
    """

    def __init__(self, packet: Packet[AdapterState], codec: str) -> None:
        self._packet, self._codec = packet, codec
        self.number = packet.number
        self.layout = bytes.fromhex(packet.seen.spec.digest)

    def fits(self, known: int | None) -> bool:
        """Whether who knows that publication of this life, or none of it, can read `usual`."""
        return self._packet.reference in (None, 0, known)

    @cached_property
    def usual(self) -> Parcel:
        """As the codec has it."""
        return _parcel(self._packet.payload, self._codec, self._packet.reference)

    @cached_property
    def whole(self) -> Parcel:
        """What receivers come to see, in full."""
        return _parcel(self._seen_bytes(), WHOLE.name, None)

    def with_totals(self, flow: Flow[AdapterState], *, whole: bool) -> Parcel:
        """The one or the other, and behind it all that ever crossed one edge."""
        plain = self.whole if whole else self.usual
        totals = np.asarray(flow.total.values).astype("<f8", copy=False).tobytes()
        both = b"".join([self._seen_bytes() if whole else self._packet.payload, totals])
        return replace(_parcel(both, plain.codec, plain.reference), flow_bytes=len(totals))

    def _seen_bytes(self) -> bytes:
        return self._packet.seen.vector.astype("<f4", copy=False).tobytes()


class Enclosure:
    """A letter, in a bundle's place: it stands by itself, and is for one receiver.

    Attributes:
        letter: what it holds.
        number, layout: see `Bundle`.
    """

    number = 0

    def __init__(self, letter: Letter, layout: bytes) -> None:
        self.letter = letter
        self.layout = layout

    def fits(self, known: int | None) -> bool:  # noqa: ARG002  # it refers to nothing
        """Always."""
        return True

    @cached_property
    def usual(self) -> Parcel:
        """As it travels."""
        content = self.letter.content
        plain = _parcel(content.data if isinstance(content, np.ndarray) else content, "", None)
        return replace(plain, letter=self.letter.kind, roster=self.letter.roster)

    @property
    def whole(self) -> Parcel:
        """The same."""
        return self.usual

    def with_totals(self, flow: Flow[AdapterState], *, whole: bool) -> Parcel:  # noqa: ARG002  # there are none
        """The same."""
        return self.usual


@dataclass(frozen=True)
class Outgoing:
    """A message for one neighbor.

    Attributes:
        sequence: its number; the incarnation is that of the moment it leaves.
        bundle: the state.
        header: of the protocol.
        ledger_head: covers the state; None without privacy.
        replaceable: a newer message may take its place while it has not left.
        whole: the neighbor lacks what the bundle's difference is added to.
        with_totals: the neighbor lacks what is added to all that crossed before.
        crossing: of protocols that keep books of what crosses edges.
    """

    sequence: int
    bundle: Bundle | Enclosure
    header: Header
    ledger_head: LedgerHead | None
    replaceable: bool = True
    whole: bool = False
    with_totals: bool = False
    crossing: Crossing[AdapterState] | None = None

    @cached_property
    def parcel(self) -> Parcel:
        """What travels."""
        if self.crossing is not None and self.with_totals:
            return self.bundle.with_totals(self.crossing.flow, whole=self.whole)
        return self.bundle.whole if self.whole else self.bundle.usual

    @property
    def after(self) -> int | None:
        """Number of the publication before on this edge, where the receiver has to find what crosses by it."""
        return None if self.with_totals or self.crossing is None else self.crossing.after

    def repeats(self, other: "Outgoing") -> bool:
        """Whether it says what the other says already."""
        return self.bundle is other.bundle and self.header == other.header


class Bundler:
    """Hashes and frames a publication once, for however many neighbors it is posted to in a row.

    Args:
        codec: name of the one that packets are encoded with.
    """

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._last: tuple[Packet[AdapterState], Bundle] | None = None

    def bundle(self, packet: Packet[AdapterState]) -> Bundle:
        """The publication as it travels."""
        if self._last is None or self._last[0] is not packet:
            self._last = (packet, Bundle(packet, self._codec))
        return self._last[1]


def _parcel(payload: bytes | memoryview, codec: str, reference: int | None) -> Parcel:
    content = memoryview(payload).cast("B")
    return Parcel(tuple(chunk_frames(content)), content.nbytes, blake3(content).digest(), codec, reference)


class Outbox:
    """One neighbor's messages on their way."""

    def __init__(self) -> None:
        self._pending: deque[Outgoing] = deque(maxlen=LONGEST)
        self._unconfirmed: deque[tuple[Outgoing, Mark]] = deque(maxlen=LONGEST)
        self._writing: list[Outgoing] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._known: Known[int] = Known()
        self._reads_codec = True

    def reads(self, codecs: Collection[str], codec: str) -> None:
        """The neighbor decodes these: another gets states whole, in fp32."""
        self._reads_codec = codec in codecs

    def put(self, message: Outgoing) -> None:
        """Queues a message; those in the queue that may be replaced make room.

        A message that is under way already is not sent twice: a protocol that sends again when a link comes up need not
        know what the outbox had kept for that link.
        """
        if any(message.repeats(old) for old in (*self._writing, *(old for old, _ in self._unconfirmed))):
            return
        self._pending = deque((old for old in self._pending if not old.replaceable), maxlen=LONGEST)
        self._pending.append(message)
        self._idle.clear()

    def take(self) -> Outgoing | None:
        """The message to send now; `written` or `give_back` must follow."""
        if not self._pending:
            return None
        message = self._pending.popleft()
        trusted, known, crossing = self._known.is_trusted(), self._known.mark, message.crossing
        whole = not (trusted and self._reads_codec and message.bundle.fits(known))
        with_totals = crossing is not None and not (trusted and crossing.follows(known))
        if (message.whole, message.with_totals) != (whole, with_totals):
            message = replace(message, whole=whole, with_totals=with_totals)
        self._known.mark = message.bundle.number
        self._writing.append(message)
        return message

    def refused(self) -> None:
        """The neighbor has dropped what was sent last: what goes next stands by itself."""
        self._known.refused()

    def written(self, message: Outgoing, mark: Mark) -> None:
        """The message has left as a whole; it is kept until the peer says it arrived."""
        if message.replaceable:
            self._unconfirmed.clear()
        self._unconfirmed.append((message, mark))
        self._done(message)

    def give_back(self, message: Outgoing) -> None:
        """The message broke off: it goes with the next link, unless a newer one replaces it."""
        self._known.forget()
        self._again(message)
        self._done(message)

    def confirm(self, seen: Mark) -> None:
        """Forgets what the peer has seen."""
        while self._unconfirmed and self._unconfirmed[0][1] <= seen:
            self._unconfirmed.popleft()

    def reconnected(self, seen: Mark) -> None:
        """A new link after the old was lost: what the peer has not seen goes again, unless a newer one replaces it."""
        self.confirm(seen)
        self._known.forget()
        while self._unconfirmed:
            message, _ = self._unconfirmed.pop()
            self._again(message)

    async def flushed(self) -> None:
        """Returns when nothing waits and nothing is on its way."""
        await self._idle.wait()

    def _again(self, message: Outgoing) -> None:
        if not (message.replaceable and self._pending) and len(self._pending) < LONGEST:
            self._pending.appendleft(message)
            self._idle.clear()

    def _done(self, message: Outgoing) -> None:
        self._writing.remove(message)
        if not self._writing and not self._pending:
            self._idle.set()
