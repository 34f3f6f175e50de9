"""The lines between nodes: what is sent waits for its line, is carried, and arrives as a transport would let it pass.

Once each, in the order in which it was sent: what comes twice, or after something newer, is dropped as a replay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.core.codecs.known import Known
from gossipfl.core.events import Send
from gossipfl.core.messages import Packet
from gossipfl.core.vector import P
from gossipfl.protection.letters import Letter
from gossipfl.sim.availability import Partition
from gossipfl.sim.clock import Clock
from gossipfl.sim.happenings import Happening, LineFree, Message
from gossipfl.sim.links import Carry, Edge


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a publication is to its line and to receivers.

    Attributes:
        size: encoded bytes.
        whole: bytes for a receiver that cannot read a difference.
        flow: bytes of all that ever crossed an edge, for one that cannot find it.
        fault: why every receiver drops it; empty for none.
    """

    size: int
    whole: int
    flow: int
    fault: str = ""


Weigh = Callable[[str, Packet[P]], Weighed]
"""Of a sender's publication."""


@dataclass(slots=True)
class Line(Generic[P]):
    """One direction of one link.

    Attributes:
        free_at: when it has transmitted what is on it.
        waiting: for it to be free.
        last_arrival: of anything sent on it.
        newest: number of the last message that arrived.
        known: life and number of the publication that the sender takes for known at the other end.
        heard: of the one that is.
    """

    free_at: float = 0.0
    waiting: list[Message[P]] = field(default_factory=list)
    last_arrival: float = 0.0
    newest: int = 0
    known: Known[tuple[int, int]] = field(default_factory=Known)
    heard: tuple[int, int] | None = None

    def forget(self) -> None:
        """The link was lost: nothing is known any more."""
        self.known.forget()
        self.heard = None


@dataclass(frozen=True, slots=True)
class NetworkParts(Generic[P]):
    """What a network is made of.

    Attributes:
        weigh: what a publication costs.
        carry: what becomes of a message.
        partitions: planned ones.
        reordering: messages may overtake each other.
    """

    weigh: Weigh[P]
    carry: Carry
    partitions: Sequence[Partition] = ()
    reordering: bool = False


class Network(Generic[P]):
    """All lines.

    Args:
        on_sent: told the sender and the bytes of every message that is put on its line.
    """

    def __init__(self, parts: NetworkParts[P], clock: Clock[Happening[P]], on_sent: Callable[[str, int], None]) -> None:
        self._parts = parts
        self._clock = clock
        self._on_sent = on_sent
        self._lines: dict[Edge, Line[P]] = {}
        self._numbers = 0
        self._published: tuple[Packet[P], Weighed] | None = None
        self._cut: set[int] = set()

    def post(self, sender: str, send: Send[P], life: int = 0) -> None:
        """Puts a state on its line, or lets it wait for it.

        Args:
            life: of the sender.
        """
        self._numbers += 1
        message = Message(sender, send.receiver, send.packet, send.header, self._numbers, send.replaceable, life)
        message.crossing = send.crossing
        self._put(message)

    def post_letter(self, sender: str, letter: Letter, life: int = 0) -> None:
        """The same with a letter, in whose place nothing newer goes."""
        self._numbers += 1
        self._put(Message(sender, letter.to, letter, letter.header, self._numbers, replaceable=False, life=life))

    def _put(self, message: Message[P]) -> None:
        line = self._line(message.sender, message.receiver)
        if line.free_at <= self._clock.now and not line.waiting:
            self._transmit(line, message)
        else:
            if message.replaceable and line.waiting and line.waiting[-1].replaceable:
                line.waiting.pop()
            if not line.waiting:
                self._clock.plan(line.free_at, LineFree(message.sender, message.receiver))
            line.waiting.append(message)

    def line_free(self, edge: Edge) -> None:
        """A line takes the next message that waits for it."""
        line = self._line(*edge)
        if line.waiting:
            self._transmit(line, line.waiting.pop(0))
        if line.waiting:
            self._clock.plan(line.free_at, LineFree(*edge))

    def empty_at(self, edge: Edge) -> float:
        """When all that was sent has arrived, as far as that is known: not before then."""
        line = self._line(*edge)
        return max(line.last_arrival, line.free_at) if line.waiting else line.last_arrival

    def passes(self, message: Message[P]) -> str:
        """Why its receiver drops an arriving message; empty: it does not."""
        line = self._lines[message.sender, message.receiver]
        if message.number <= line.newest:
            return "replay"
        line.newest = message.number
        packet = message.content
        if isinstance(packet, Letter):
            return ""
        readable = _readable(message, packet, line.heard)
        fault = self._weighed(message.sender, packet).fault if readable else "reference"
        if fault:
            # the sender is told: what comes next stands by itself
            line.known.refused()
        else:
            line.heard = (message.life, packet.number)
        return fault

    def split(self, place: int) -> None:
        """A partition begins."""
        self._cut.add(place)

    def heal(self, place: int) -> None:
        """A partition ends."""
        self._cut.discard(place)

    def is_cut(self, sender: str, receiver: str) -> bool:
        """Whether a partition stands between two nodes."""
        return bool(self._cut) and any(self._parts.partitions[place].cuts(sender, receiver) for place in self._cut)

    def forget(self, sender: str) -> None:
        """What a killed node had not put on its lines yet is lost."""
        for edge, line in self._lines.items():
            if edge[0] == sender:
                line.waiting.clear()
            if sender in edge:
                line.forget()

    def state(self) -> tuple[dict[Edge, Line[P]], int, set[int]]:
        """All that changes, for a checkpoint."""
        return self._lines, self._numbers, self._cut

    def restore(self, state: tuple[dict[Edge, Line[P]], int, set[int]]) -> None:
        """Takes over what `state` gave."""
        self._lines, self._numbers, self._cut = state

    def _line(self, sender: str, receiver: str) -> Line[P]:
        line = self._lines.get((sender, receiver))
        if line is None:
            line = self._lines[sender, receiver] = Line()
        return line

    def _weighed(self, sender: str, packet: Packet[P]) -> Weighed:
        # one publication goes to several receivers: checked once
        if self._published is None or self._published[0] is not packet:
            self._published = (packet, self._parts.weigh(sender, packet))
        return self._published[1]

    def _transmit(self, line: Line[P], message: Message[P]) -> None:
        clock, now, content = self._clock, self._clock.now, message.content
        size = content.size if isinstance(content, Letter) else self._size(line, message, content)
        self._on_sent(message.sender, size)
        fate = self._parts.carry((message.sender, message.receiver), size)
        line.free_at = now + fate.line_s
        for after_s in fate.arrivals:
            at = now + after_s if self._parts.reordering else max(now + after_s, line.last_arrival)
            line.last_arrival = max(at, line.last_arrival)
            clock.plan(at, message)

    def _size(self, line: Line[P], message: Message[P], packet: Packet[P]) -> int:
        """Of a state, as the other end can read it; the line takes it for known there."""
        weighed = self._weighed(message.sender, packet)
        trusted, crossing = line.known.is_trusted(), message.crossing
        number = _number(message, line.known.mark)
        message.whole = not (trusted and packet.reference in {None, 0, number})
        message.with_totals = crossing is not None and not (trusted and crossing.follows(number))
        line.known.mark = (message.life, packet.number)
        return (weighed.whole if message.whole else weighed.size) + weighed.flow * message.with_totals


def _readable(message: Message[P], packet: Packet[P], known: tuple[int, int] | None) -> bool:
    """Whether who knows that publication of a sender's life can read a message."""
    crossing, number = message.crossing, _number(message, known)
    found = crossing is None or message.with_totals or crossing.follows(number)
    return found and (message.whole or packet.reference in {None, 0, number})


def _number(message: Message[P], known: tuple[int, int] | None) -> int | None:
    return known[1] if known is not None and known[0] == message.life else None
