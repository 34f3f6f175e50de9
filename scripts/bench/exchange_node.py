"""A bare node of the exchange bench: real protocol, mixing, codec, checks and transport; no model and no disk."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from scripts.bench.exchange_work import Played, Work, build_protocol
from scripts.bench.meters import sent_by_sockets, sent_since

from gossipfl.config.peers import NodeConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.codecs import CODECS
from gossipfl.core.events import (
    Event,
    Finish,
    NeighborDown,
    NeighborUp,
    Received,
    Report,
    Send,
    SetTimer,
    Started,
    TimerFired,
)
from gossipfl.core.handshake import Greeting
from gossipfl.core.protocol import Protocol
from gossipfl.core.topology import build_schedule
from gossipfl.net.identity import Identity
from gossipfl.net.limits import Limits
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.transport import Arrived, LinkDown, LinkUp, NetEvent, Transport
from gossipfl.state import AdapterSpec, AdapterState, Segment


@dataclass(frozen=True, slots=True)
class Site:
    """Where a bare node is.

    Attributes:
        nodes: the ring, in its order.
    """

    identity: Identity
    me: NodeConfig
    nodes: tuple[NodeConfig, ...]


def play_bare(site: Site, work: Work, together: Barrier) -> Played:
    """Exchanges without disk; every node waits at the barrier until all have everything."""
    return asyncio.run(_exchange(site, work, together))


async def _exchange(site: Site, work: Work, together: Barrier) -> Played:
    spec = AdapterSpec((Segment("w", (work.values,)),))
    schedule = build_schedule(TopologyConfig(), [node.name for node in site.nodes])
    protocol, played = build_protocol(site.me.name, schedule, spec, work), Played()
    events: asyncio.Queue[Event[AdapterState]] = asyncio.Queue()
    neighbors = schedule.neighbors(site.me.name)
    async with _transport(site, neighbors, spec, work, lambda event: events.put_nowait(_as_event(event))) as transport:
        for _ in neighbors:
            protocol.handle(await events.get(), 0.0)
        before, counted = sent_by_sockets(), transport.counters.bytes_sent
        played.note(0, work)
        events.put_nowait(Started())
        await _drive(protocol, transport, events, lambda report: played.note(report.round, work))
        await transport.flush(10.0)
        await asyncio.to_thread(together.wait)
        played.socket_bytes = sent_since(before)
        played.counted_bytes = transport.counters.bytes_sent - counted
        await asyncio.to_thread(together.wait)
    played.final = protocol.snapshot.state.vector
    return played


def _transport(
    site: Site, neighbors: tuple[str, ...], spec: AdapterSpec, work: Work, deliver: Callable[[NetEvent], None]
) -> Transport:
    greeting = Greeting(1, site.me.name, {"model": "bench"}, (), ("fp32",), 1, 0, 1, None)
    return Transport(
        site.identity,
        site.me,
        [node for node in site.nodes if node.name in neighbors],
        greet=lambda _: greeting,
        origin=AdapterState.zeros(spec),
        codec=CODECS["fp32"](work.gossip),
        limits=Limits(max_norm=work.gossip.max_norm),
        deliver=deliver,
        status=lambda: StatusSnapshot(site.me.name),
    )


def _as_event(event: NetEvent) -> Event[AdapterState]:
    match event:
        case Arrived(sender=sender, state=state, header=header):
            return Received(sender, state, header)
        case LinkUp(name=name):
            return NeighborUp(name)
        case LinkDown(name=name):
            return NeighborDown(name)
        case _:
            raise RuntimeError(f"{event}: a message was lost on loopback")


async def _drive(
    protocol: Protocol[AdapterState],
    transport: Transport,
    events: asyncio.Queue[Event[AdapterState]],
    report: Callable[[Report], None],
) -> None:
    loop, timers = asyncio.get_running_loop(), dict[str, asyncio.TimerHandle]()
    while True:
        for effect in protocol.handle(await events.get(), loop.time()):
            match effect:
                case Send():
                    transport.post(effect.receiver, effect.packet, effect.header, None, replaceable=effect.replaceable)
                case Report():
                    report(effect)
                case SetTimer(name=name, delay_s=delay_s):
                    if old := timers.pop(name, None):
                        old.cancel()
                    timers[name] = loop.call_later(delay_s, events.put_nowait, TimerFired(name))
                case Finish():
                    return
                case _:  # Checkpoint: no disk here
                    pass
