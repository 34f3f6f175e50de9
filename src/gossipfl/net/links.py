"""One link: the stream between two neighbors, after the greeting, the same at both ends.

             ┌─ writer <── outbox (the newest message)
    stream ──┤
             └─ reader ──> receiver ──> a message that passed

A link ends when the peer finishes, when it breaks or is broken off, when a message takes too long either way, or when
it is retired: then the message on its way is completed, and the peer's are read to the end.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from gossipfl.core.membership import Mark
from gossipfl.errors import MessageError, PeerError
from gossipfl.net.arrivals import Arrival, Spoiled
from gossipfl.net.counters import Tally
from gossipfl.net.duplex import Duplex, LinkLostError
from gossipfl.net.framing import Frame, ack_frame, envelope_frame, paper_frame, parse_frame
from gossipfl.net.inbox import Checks, Receiver
from gossipfl.net.intake import Intake
from gossipfl.net.outbox import Outbox, Outgoing
from gossipfl.net.passage import Passage, log_message, unnoticed
from gossipfl.net.wire import Envelope, Opening, envelope_message, envelope_of, exchange
from gossipfl.v1 import gossip_pb2 as pb

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a link is connected to.

    Attributes:
        peer: the neighbor.
        dialed_by: name of the end that opened the stream.
        checks: what arriving messages are held against.
        told: the newest message that the peer had heard of when the link was agreed on: what we told it.
        outbox: what to send.
        intake: how the neighbor is read.
        tally: the neighbor's figures.
        timeout_s: for one message, either way.
        envelope: a message as it leaves now, in this life and with this ledger head.
        arrived: told of every message that passed.
        reject: told of everything that did not.
        undelivered: told when a message broke off.
        paper: told of every signed paper, not looked at yet.
        passed: told of every message, either way, that came through.
    """

    peer: str
    dialed_by: str
    checks: Checks
    told: Mark
    outbox: Outbox
    intake: Intake
    tally: Tally
    timeout_s: float
    envelope: Callable[[Outgoing], Envelope]
    arrived: Callable[[Arrival], None]
    reject: Callable[[PeerError], None]
    undelivered: Callable[[], None]
    paper: Callable[[bytes], None]
    passed: Callable[[Passage], None] = unnoticed


class Link:
    """A stream in use.

    Attributes:
        wiring: what it is connected to.
        theirs: the peer's Hello.
    """

    def __init__(self, duplex: Duplex, wiring: Wiring, theirs: Opening) -> None:
        self.wiring = wiring
        self.theirs = theirs
        self._ended = asyncio.Event()
        self._duplex = duplex
        self._receiver = Receiver(wiring.peer, wiring.checks, self._reject, told=wiring.told)
        self._wake = asyncio.Event()
        self._retired = False
        self._leaving = False
        self._cutoff: asyncio.Timeout | None = None
        self._broken_off = False
        self._deadline: float | None = None
        self._notes: list[bytes] = []
        self._refusals = 0
        self._dropped = 0
        self._life = 0
        self._began_ns = 0

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def say(self, paper: bytes) -> None:
        """Sends a signed paper before the next message."""
        self._notes.append(paper_frame(paper))
        self._wake.set()

    def retire(self) -> None:
        """Completes what is on its way, sends nothing else, reads on until the peer has finished."""
        self._retired = True
        self._wake.set()

    def leave(self) -> None:
        """As `retire`, but without waiting for a peer that did not ask for it."""
        self._leaving = True
        self.retire()

    def break_off(self) -> None:
        """Ends at once, in the middle of a message too: the other end is no more."""
        self._broken_off = True
        if self._cutoff is not None and not self._ended.is_set():
            self._cutoff.reschedule(0)

    def close(self) -> None:
        """Ended, whether it ran or not; a message that has not arrived in full is dropped."""
        self._ended.set()
        self._receiver.interrupt()

    async def wait_ended(self) -> None:
        """Returns when the link is closed."""
        await self._ended.wait()

    async def run(self) -> str:
        """Carries messages until the link ends; why it ended, for the log."""
        ended = "the peer finished"
        try:
            async with asyncio.timeout_at(0 if self._broken_off else None) as self._cutoff:
                await self._carry()
        except* LinkLostError as lost:
            ended = "; ".join(str(error) for error in lost.exceptions)
        except* TimeoutError:
            ended = "broken off by this end" if self._broken_off else f"{self.wiring.peer!r} takes nothing"
        finally:
            self.close()
        return ended

    async def _carry(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read_all())
            await self._write_all()
            # only the end that dialed can finish and go on reading; the other finishes by ending the call
            if not await self._duplex.finish() and self._leaving:
                reading.cancel()
            await asyncio.wait([reading], timeout=self.wiring.timeout_s)
            reading.cancel()

    # ---- out ----

    async def _write_all(self) -> None:
        while not self._retired:
            self._wake.clear()
            await self._write_notes()
            message = self.wiring.outbox.take()
            if message is None:
                await self._wake.wait()
            else:
                await self._send(message)
        if self._leaving:
            await self._write_notes()

    async def _write_notes(self) -> None:
        while self._notes:
            async with asyncio.timeout(self.wiring.timeout_s):
                await self._write(self._notes.pop(0))
        self._refusals = 0

    async def _send(self, message: Outgoing) -> None:
        outbox, timeout_s, began_ns = self.wiring.outbox, self.wiring.timeout_s, time.time_ns()
        try:
            envelope = self.wiring.envelope(message)
            async with asyncio.timeout(timeout_s):
                await self._write(envelope_frame(envelope_message(envelope)))
                for frame in message.parcel.frames:
                    await self._write(frame)
        except BaseException as error:
            outbox.give_back(message)
            self.wiring.undelivered()
            if isinstance(error, TimeoutError):
                raise self._too_slow("to take one message") from error
            raise
        outbox.written(message, envelope.mark)
        self._life = envelope.mark[0]
        self.wiring.tally.messages_sent += 1
        log_message("sent to %s", self.wiring.peer, envelope)
        self.wiring.passed(Passage(True, envelope, began_ns, time.time_ns()))

    async def _write(self, frame: bytes) -> None:
        await self._duplex.write(frame)
        self.wiring.tally.bytes_sent += len(frame)

    # ---- in ----

    async def _read_all(self) -> None:
        try:
            while (data := await self._read()) is not None:
                self.wiring.tally.bytes_received += len(data)
                await self._take(data)
        except MessageError as error:
            self.wiring.reject(error)
            raise LinkLostError(str(error)) from error
        finally:
            # whatever ended the reading ends the writing, at the end of the message on its way
            self.retire()

    async def _read(self) -> bytes | None:
        if self._deadline is None:
            # between messages: gRPC's keepalive notices a dead peer
            return await self._duplex.read()
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._duplex.read()
        except TimeoutError as error:
            raise self._too_slow("to send one message") from error

    async def _take(self, data: bytes) -> None:
        frame = parse_frame(data, peer=self.wiring.peer)
        await self._admit(len(data), frame)
        match frame:
            case pb.Envelope() as envelope:
                self._began_ns = time.time_ns()
                self._deadline = asyncio.get_running_loop().time() + self.wiring.timeout_s
                self._announce(envelope)
            case memoryview() as chunk:
                message = self._receiver.add(chunk)
                if message is not None and not isinstance(message, Spoiled):
                    self.wiring.passed(Passage(False, message.envelope, self._began_ns, time.time_ns()))
                if message is not None:
                    self.wiring.arrived(message)
            case pb.Ack() as ack:
                self._refused(ack)
            case pb.Paper() as paper:
                self.wiring.paper(paper.line)
            case pb.Hello():
                raise MessageError(f"{self.wiring.peer!r} sent a second Hello", peer=self.wiring.peer, reason="garbage")
        if not self._receiver.busy:
            self._deadline = None

    async def _admit(self, count_bytes: int, frame: Frame) -> None:
        """Returns when the frame's turn has come; what it waited for here is no slowness of the peer's."""
        clock = asyncio.get_running_loop().time
        came = clock()
        await self.wiring.intake.admit(count_bytes, payload=isinstance(frame, memoryview))
        if self._deadline is not None:
            self._deadline += clock() - came

    def _announce(self, message: pb.Envelope) -> None:
        try:
            envelope = envelope_of(message, peer=self.wiring.peer)
        except MessageError as error:
            self._receiver.skip(message.payload_bytes)
            self._reject(error, message.sequence)
            return
        self.wiring.outbox.confirm(envelope.acknowledged)
        self._receiver.announce(envelope)

    def _reject(self, error: PeerError, sequence: int) -> None:
        """A message is dropped and the peer is told, the link stays."""
        self.wiring.reject(error)
        named = exchange(self.wiring.peer, (self.theirs.greeting.incarnation, sequence))
        fields = {"peer": self.wiring.peer, "reason": error.reason, "exchange": named}
        logger.debug("dropped a message of %s: %s", self.wiring.peer, error.reason, extra=fields)
        if error.reason != "truncated" and self._refusals < 8:
            self._refusals += 1
            self._notes.append(ack_frame(sequence, error.reason))
            self._wake.set()

    def _refused(self, ack: pb.Ack) -> None:
        if not ack.rejected:
            return
        self.wiring.outbox.refused()
        self._dropped += 1
        # the 1st, 2nd, 4th, … so that a peer cannot fill the log
        if self._dropped & (self._dropped - 1) == 0:
            named = exchange(self.wiring.checks.me, (self._life, ack.sequence))
            fields = {"peer": self.wiring.peer, "exchange": named}
            logger.warning("%r dropped our message: %r", self.wiring.peer, ack.rejected[:64], extra=fields)

    def _too_slow(self, what: str) -> LinkLostError:
        text = f"{self.wiring.peer!r} took more than {self.wiring.timeout_s:g} s {what}"
        self.wiring.reject(MessageError(text, peer=self.wiring.peer, reason="timeout"))
        return LinkLostError(text)
