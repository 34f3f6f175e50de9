"""What waits to be sent to one neighbor: the newest message, and those that nothing may replace.

post ──> pending ──take──> on its way ──written──> unconfirmed ──the peer has seen it──> gone
           ^  newer replaces  │                         │
           └── broken off ────┴── new link, not seen ───┘
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from blake3 import blake3

from gossipfl.core.codecs import Codec
from gossipfl.core.events import Header
from gossipfl.core.handshake import LedgerHead
from gossipfl.core.membership import Mark
from gossipfl.net.framing import chunk_frames
from gossipfl.state import AdapterState

LONGEST = 8
"""Messages kept for a neighbor that does not take them; the oldest make room."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A state as it travels; the same for all receivers.

    Attributes:
        frames: the payload in chunks, ready for every receiver's stream.
        payload_bytes: size of the payload.
        digest: BLAKE3 of it.
        codec: name.
        layout: SHA-256 of the state's layout.
    """

    frames: tuple[bytes, ...]
    payload_bytes: int
    digest: bytes
    codec: str
    layout: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for one neighbor.

    Attributes:
        sequence: its number; the incarnation is that of the moment it leaves.
        parcel: the state.
        header: of the protocol.
        ledger_head: covers the state; None without privacy.
        replaceable: a newer message may take its place while it has not left.
    """

    sequence: int
    parcel: Parcel
    header: Header
    ledger_head: LedgerHead | None
    replaceable: bool = True

    def repeats(self, other: "Outgoing") -> bool:
        """Whether it says what the other says already."""
        return self.parcel is other.parcel and self.header == other.header


class Packer:
    """Encodes, hashes and frames a state once, for however many neighbors it is posted to in a row."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._last: tuple[AdapterState, Parcel] | None = None

    def pack(self, state: AdapterState) -> Parcel:
        """The state as it travels."""
        if self._last is not None and self._last[0] is state:
            return self._last[1]
        payload = memoryview(self._codec.encode(state, None).payload).cast("B")
        layout = bytes.fromhex(state.spec.digest)
        digest = blake3(payload).digest()
        parcel = Parcel(tuple(chunk_frames(payload)), payload.nbytes, digest, self._codec.name, layout)
        self._last = (state, parcel)
        return parcel


class Outbox:
    """One neighbor's messages on their way."""

    def __init__(self) -> None:
        self._pending: deque[Outgoing] = deque(maxlen=LONGEST)
        self._unconfirmed: deque[tuple[Outgoing, Mark]] = deque(maxlen=LONGEST)
        self._writing: list[Outgoing] = []
        self._idle = asyncio.Event()
        self._idle.set()

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
        self._writing.append(message)
        return message

    def written(self, message: Outgoing, mark: Mark) -> None:
        """The message has left as a whole; it is kept until the peer says it arrived."""
        if message.replaceable:
            self._unconfirmed.clear()
        self._unconfirmed.append((message, mark))
        self._done(message)

    def give_back(self, message: Outgoing) -> None:
        """The message broke off: it goes with the next link, unless a newer one replaces it."""
        self._again(message)
        self._done(message)

    def confirm(self, seen: Mark) -> None:
        """Forgets what the peer has seen."""
        while self._unconfirmed and self._unconfirmed[0][1] <= seen:
            self._unconfirmed.popleft()

    def reconnected(self, seen: Mark) -> None:
        """A new link after the old was lost: what the peer has not seen goes again, unless a newer one replaces it."""
        self.confirm(seen)
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
