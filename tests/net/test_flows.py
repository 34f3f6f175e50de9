"""Totals of what crosses an edge: they travel only where they cannot be found, and are believed only if sound."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.net.test_differences import only_one_dials
from tests.net.world import SPEC, WAIT_S, Player, Raw, Rejections, World, packet_of, state_of

from gossipfl.core.mass import Flow, first_mass
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.core.wide import Wide, widened
from gossipfl.net.events import Arrived, LinkDown, LinkUp
from gossipfl.state import AdapterState

WHOLE_BYTES = 4 * SPEC.size


@pytest.fixture
async def node(world: World) -> AsyncIterator[Player]:
    world.add("a")
    world.add("b", dials_only=True)
    player = world.player("a", "b", keeps_books=True)
    async with player.transport:
        yield player


def flow_of(weight: float, state: AdapterState) -> Flow[AdapterState]:
    return Flow(weight, Wide.nothing(state).plus(weight, state))


class Giver:
    """What a node pushes over one edge, publication by publication."""

    def __init__(self) -> None:
        self._mass = first_mass(state_of(0))
        self._number = 0

    def next(self, weight: float = 0.25) -> tuple[Packet[AdapterState], Crossing[AdapterState]]:
        self._number += 1
        state = state_of(self._number)
        packet = packet_of(state)
        packet = Packet(packet.content, state, None, self._number, None, packet.payload, packet.size)
        self._mass = self._mass.pushes(("b",), weight, state)
        return packet, Crossing(self._mass.pushed["b"], self._number - 1)


async def pushed(giver: Player, taker: Player, packet: Packet[AdapterState], crossing: Crossing[AdapterState]) -> int:
    """Bytes of a publication, whose totals the other finds to the last bit."""
    before = giver.transport.counters.bytes_sent
    header = Header(packet.number, 0, push_weight=crossing.flow.weight)
    giver.transport.post(taker.name, packet, header, None, crossing=crossing)
    arrived = await taker.event(Arrived)
    assert arrived.flow == crossing.flow
    assert await giver.transport.flush(WAIT_S)
    return giver.transport.counters.bytes_sent - before


async def test_totals_are_found_by_the_message_before_and_come_along_after_a_lost_link(world: World) -> None:
    only_one_dials(world)
    a, b = (world.player(*each, keeps_books=True) for each in (("a", "b"), ("b", "a")))
    giver = Giver()
    async with a.transport:
        async with b.transport:
            await a.event(LinkUp)
            await b.event(LinkUp)
            sent = [giver.next() for _ in range(3)]
            for packet, crossing in sent:
                assert await pushed(a, b, packet, crossing) < 2 * WHOLE_BYTES
        await a.event(LinkDown)
        again = world.player("b", "a", keeps_books=True, incarnation=2)
        async with again.transport:
            await a.event(LinkUp)
            await again.event(LinkUp)
            # nobody has said that the last one arrived: it comes again, to one that knows nothing of those before
            arrived = await again.event(Arrived)
            assert arrived.flow == sent[-1][1].flow
            # bytes are counted when they are on their way, which may be when they have arrived
            assert await a.transport.flush(WAIT_S)
            assert a.transport.counters.bytes_sent > (3 + 3) * WHOLE_BYTES
            assert await pushed(a, again, *giver.next()) < 2 * WHOLE_BYTES


@pytest.mark.parametrize(("reason", "value"), [("nan", np.nan), ("nan", np.inf), ("norm", 1e9)])
async def test_unsound_totals_are_counted_and_the_link_stays(
    node: Player, peer: Raw, reason: str, value: float
) -> None:
    values = np.zeros(SPEC.size)
    values[1] = value
    await peer.send_with(state_of(1), Flow(0.5, Wide(values, SPEC)))
    good = flow_of(0.5, state_of(2))
    await peer.send_with(state_of(2), good)
    assert (await node.event(Arrived)).flow == good
    assert node.transport.counters.rejected == {reason: 1}


async def test_a_weight_out_of_range_is_refused(node: Player, peer: Raw, rejections: Rejections) -> None:
    for weight in (-0.5, 1e12):
        await peer.send(state_of(1), header=Header(0, 1, push_weight=weight), after=0)
        await rejections.wait("weight")
    assert node.transport.counters.rejected == {"weight": 2}


async def test_what_follows_a_message_that_is_not_here_is_refused(node: Player, peer: Raw) -> None:
    await peer.send(state_of(1), header=Header(0, 1, push_weight=0.5), after=7)
    await peer.send(state_of(2), header=Header(0, 1, push_weight=0.5), after=0)
    assert (await node.event(Arrived)).flow == flow_of(0.5, state_of(2))
    assert node.transport.counters.rejected == {"reference": 1}


async def test_a_message_without_totals_has_none(node: Player, peer: Raw) -> None:
    await peer.send(state_of(1))
    assert (await node.event(Arrived)).flow is None


async def test_where_no_books_are_kept_totals_are_refused(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    node = world.player("a", "b")
    async with node.transport, world.stranger("b", "a") as peer:
        assert not (await peer.greet()).rejected
        await peer.send_with(state_of(1), flow_of(0.5, state_of(1)))
        await peer.send(state_of(2))
        assert (await node.event(Arrived)).state == state_of(2)
    assert node.transport.counters.rejected == {"size": 1}


async def test_totals_of_another_size_cost_no_memory(node: Player, peer: Raw) -> None:
    state = state_of(1)
    await peer.announce(peer.envelope(state, payload_bytes=2**61, flow_bytes=2**61 - WHOLE_BYTES))
    async with asyncio.timeout(WAIT_S):
        while not node.transport.counters.rejected:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0)
    assert node.transport.counters.rejected == {"size": 1}


def test_totals_are_kept_in_float64() -> None:
    state = state_of(1)
    total = widened(state)
    for _ in range(10_000):
        total = total.plus(1.0, state)
    assert np.allclose(np.asarray(total.values), state.vector.astype(np.float64) * 10_001, rtol=1e-12)
