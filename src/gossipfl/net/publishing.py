"""The Publish call: one message pushed one way, with the same checks as on a link."""

import asyncio

from gossipfl.errors import MessageError, PeerError
from gossipfl.net.context import Context
from gossipfl.net.duplex import Duplex
from gossipfl.net.framing import Frame, parse_frame
from gossipfl.net.inbox import Receiver
from gossipfl.net.neighbors import Neighbor
from gossipfl.net.revocations import Revocations
from gossipfl.net.wire import envelope_of
from gossipfl.v1 import gossip_pb2 as pb


class Pushed:
    """A stream that brings messages and takes none.

    Args:
        believed: see `Visitor`; what comes after a newer list is not taken.

    Attributes:
        ack: what to answer: the last message's number and why it was dropped, if it was.
    """

    def __init__(self, context: Context, neighbor: Neighbor, believed: Revocations) -> None:
        self.ack = pb.Ack()
        self._believed = believed
        self._context = context
        self._peer = peer = neighbor.name
        self._intake = neighbor.intake
        self._tally = context.counters.of(peer)
        self._receiver = Receiver(peer, context.checks, self._reject)

    async def read_all(self, duplex: Duplex) -> None:
        """Reads to the end.

        Raises:
            MessageError: the stream makes no sense, or took too long (reason timeout).
            LinkLostError: it broke off.
            HandshakeError: see `Context.check_still_believed`.
        """
        timeout_s = self._context.limits.message_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                while (data := await duplex.read()) is not None:
                    self._tally.bytes_received += len(data)
                    frame = parse_frame(data, peer=self._peer)
                    await self._intake.admit(len(data), payload=isinstance(frame, memoryview))
                    self._context.check_still_believed(self._believed, peer=self._peer)
                    self._take(frame)
        except TimeoutError as error:
            text = f"{self._peer!r} took more than {timeout_s:g} s to push one message"
            raise MessageError(text, peer=self._peer, reason="timeout") from error
        finally:
            self._receiver.interrupt()

    def _take(self, frame: Frame) -> None:
        match frame:
            case pb.Envelope() as message:
                self.ack = pb.Ack(sequence=message.sequence)
                self._receiver.announce(envelope_of(message, peer=self._peer))
            case memoryview() as chunk:
                arrived = self._receiver.add(chunk)
                if arrived is not None:
                    self._context.arrived(arrived)
            case _:
                raise MessageError(f"{self._peer!r} pushed no message", peer=self._peer, reason="garbage")

    def _reject(self, error: PeerError, sequence: int) -> None:
        self._context.counters.reject(error)
        self.ack = pb.Ack(sequence=sequence, rejected=error.reason)
