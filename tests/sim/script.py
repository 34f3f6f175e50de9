"""What happened to each node of a simulation, in its order: the script that real nodes play again.

World ── on_event ──> [Happened, …] by node ── JSON ──> Script ── next() ──> a real node's protocol
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from gossipfl.core.events import Event, Heard, NeighborDown, NeighborUp, Received, Started, Summed, TimerFired, Trained
from gossipfl.net.transport import NetEvent, Transport
from gossipfl.node.order import ArrivalOrder, Failed, Item, Noted
from gossipfl.node.parts import OpenTransport
from gossipfl.node.trainer import PhaseDone
from gossipfl.state import AdapterState

WAIT_S = 60.0
"""A deadline only for what hangs."""
TIMERS = "TimerFired"


@dataclass(frozen=True, slots=True)
class Happened:
    """One event.

    Attributes:
        kind: its class.
        who: sender, neighbor or timer.
        at: virtual seconds.
        digest: BLAKE3 of the state received, or of the one trained.
        words: what came with it.
    """

    kind: str
    who: str
    at: float
    digest: str = ""
    words: tuple[Any, ...] = ()

    @property
    def content(self) -> tuple[Any, ...]:
        """All but the time."""
        return (self.kind, self.who, self.digest, tuple(self.words))


def happened(event: Event[AdapterState], at: float) -> Happened:
    """An event as it is compared."""
    kind = type(event).__name__
    words: tuple[Any, ...]
    match event:
        case Received(sender=sender, state=state, header=header, flow=flow):
            words = (header.round, header.step, header.done, header.settled, header.settle_rounds)
            if flow is not None:
                words = (*words, flow.weight, blake3(np.asarray(flow.total.values).tobytes()).hexdigest())
            return Happened(kind, sender, at, _digest(state), words)
        case Trained(state=state, version=version, steps=steps, receipt=receipt, exhausted=exhausted):
            return Happened(kind, "", at, _digest(state), (version, steps, receipt.steps, exhausted))
        case Heard(sender=sender, header=header, contributes=contributes):
            words = (header.round, header.step, header.done, header.settled, header.settle_rounds, contributes)
            return Happened(kind, sender, at, "", words)
        case Summed(round=number, mean=mean):
            return Happened(kind, "", at, "" if mean is None else _digest(mean), (number,))
        case TimerFired(name=name) | NeighborUp(name=name) | NeighborDown(name=name):
            return Happened(kind, name, at)
        case _:
            return Happened(kind, "", at)


def event_of(item: Item) -> Event[AdapterState]:
    """What the protocol is told."""
    match item:
        case PhaseDone(trained=trained):
            return trained
        case Failed(error=error):
            raise error
        case Noted():
            raise AssertionError("nothing for the protocol")
        case _:
            return item


class Noting:
    """Events as they arrive, noted.

    Attributes:
        notes: so far.
    """

    def __init__(self) -> None:
        self._arrivals = ArrivalOrder()
        self.notes: list[Happened] = []

    def add(self, item: Item) -> None:
        self._arrivals.add(item)

    async def next(self) -> tuple[Item, float]:
        item, now = await self._arrivals.next()
        self.notes.append(happened(event_of(item), now))
        return item, now

    def opening(self, open_transport: OpenTransport) -> OpenTransport:
        """Nothing is to be known of the transport."""
        return open_transport


class Script:
    """Events in the order of a script, at its times; what comes early waits, what is not in it is dropped.

    Before each event all that was sent has left, so that no newer message takes an older one's place; the first waits
    until all neighbors are linked. Timers fire when the script says so.

    Attributes:
        notes: what was handed over.
    """

    def __init__(self, entries: Sequence[Happened], neighbors: Sequence[str]) -> None:
        self._entries = deque(entries)
        self._neighbors = set(neighbors)
        self._early: dict[tuple[str, str], deque[Item]] = {}
        self._came = asyncio.Event()
        self._transport: Transport | None = None
        self._failure: Failed | None = None
        self.notes: list[Happened] = []

    def opening(self, open_transport: OpenTransport) -> OpenTransport:
        """The same, with an eye on the transport."""

        def opened(deliver: Callable[[NetEvent], None]) -> Transport:
            self._transport = open_transport(deliver)
            return self._transport

        return opened

    def add(self, item: Item) -> None:
        if isinstance(item, Failed):
            self._failure = item
        else:
            note = happened(event_of(item), 0.0)
            self._early.setdefault((note.kind, note.who), deque()).append(item)
        self._came.set()

    async def next(self) -> tuple[Item, float]:
        entry = self._entries.popleft()
        async with asyncio.timeout(WAIT_S):
            await self._sent()
            if isinstance(item := await self._item(entry), Failed):
                return item, entry.at
            await self._linked(entry)
        self.notes.append(happened(event_of(item), entry.at))
        return item, entry.at

    async def _sent(self) -> None:
        assert self._transport is not None
        # again and again: a neighbor that has left is not waited for
        while not await self._transport.flush(0.1):
            pass

    async def _linked(self, entry: Happened) -> None:
        if entry.kind == Started.__name__:
            for name in self._neighbors:
                await self._wait_for(NeighborUp.__name__, name)

    async def _item(self, entry: Happened) -> Item:
        if entry.kind == TIMERS:
            return TimerFired(entry.who)
        await self._wait_for(entry.kind, entry.who)
        return self._failure or self._early[entry.kind, entry.who].popleft()

    async def _wait_for(self, kind: str, who: str) -> None:
        while not self._early.get((kind, who)) and self._failure is None:
            self._came.clear()
            await self._came.wait()


def _digest(state: AdapterState) -> str:
    return blake3(state.vector.tobytes()).hexdigest()


def happened_of(fields: Mapping[str, Any]) -> Happened:
    """From JSON."""
    return Happened(**{**fields, "words": tuple(fields["words"])})
