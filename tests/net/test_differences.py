"""Codecs that lose something, on real links: differences where the neighbor can read them, else whole states."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

from tests.net.test_exchange import both_up
from tests.net.world import WAIT_S, Player, World, state_of

from gossipfl.core.codecs.blocks import Blocks
from gossipfl.core.codecs.packing import Differences
from gossipfl.core.messages import Header, Packet, Publishable, Receipt
from gossipfl.core.rng import generator
from gossipfl.net.events import Arrived
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("w", (40, 100)),))
INT8 = Blocks(8)
READS = ("int8", "fp32")
WHOLE_BYTES = 4 * SPEC.size


def only_one_dials(world: World) -> None:
    """Nodes a and b. Where both dial, a link may take another's place just after a message, which then comes twice."""
    world.add("a")
    world.add("b", dials_only=True)


def publications(count: int) -> Iterator[Packet[AdapterState]]:
    """Of one node in one life."""
    pack = Differences(Blocks(8), AdapterState.zeros(SPEC), generator(0, purpose="test"))
    for seed in range(count):
        yield pack(Publishable(state_of(seed, SPEC), Receipt()))


def post(player: Player, receiver: str, packet: Packet[AdapterState]) -> None:
    player.transport.post(receiver, packet, Header(packet.number, 0), None, replaceable=False)


async def sent_for(player: Player, to: Player, packet: Packet[AdapterState]) -> int:
    """Bytes of a publication that the other has seen as it should."""
    before = player.transport.counters.bytes_sent
    post(player, to.name, packet)
    arrived = await to.event(Arrived)
    assert arrived.state == packet.seen
    # what arrives may do so before its sender counts it
    assert await player.transport.flush(WAIT_S)
    return player.transport.counters.bytes_sent - before


async def test_each_publication_is_the_difference_to_the_one_before(world: World) -> None:
    world.spec = SPEC
    only_one_dials(world)
    a, b = (world.player(*each, codec=INT8, codecs=READS) for each in (("a", "b"), ("b", "a")))
    async with a.transport, b.transport:
        await both_up(a, b)
        for packet in publications(4):
            assert await sent_for(a, b, packet) < 0.5 * WHOLE_BYTES


async def test_a_neighbor_without_the_codec_gets_whole_states(world: World) -> None:
    world.spec = SPEC
    only_one_dials(world)
    a, b = world.player("a", "b", codec=INT8, codecs=READS), world.player("b", "a")
    async with a.transport, b.transport:
        await both_up(a, b)
        for packet in publications(3):
            assert await sent_for(a, b, packet) > WHOLE_BYTES


async def test_a_link_keeps_one_decoded_state_of_a_neighbor_and_only_where_differences_are_added_to_it(
    world: World,
) -> None:
    world.spec = SPEC
    only_one_dials(world)
    a, b = (world.player(*each, codec=INT8, codecs=READS) for each in (("a", "b"), ("b", "a")))
    decoded: list[weakref.ref[AdapterState]] = []
    async with a.transport, b.transport:
        await both_up(a, b)
        for packet in publications(9):
            post(a, "b", packet)
            arrived = await b.event(Arrived)
            assert arrived.state == packet.seen
            decoded.append(weakref.ref(arrived.state))
            # whoever is told drops it: what is left is the link's own
            del arrived
        gc.collect()
        kept = [number for number, state in enumerate(decoded) if state() is not None]
    assert kept == [8]


async def test_after_a_publication_that_was_dropped_comes_a_whole_one(world: World) -> None:
    world.spec = SPEC
    only_one_dials(world)
    a, b = (world.player(*each, codec=INT8, codecs=READS) for each in (("a", "b"), ("b", "a")))
    first, second, third, fourth, fifth = publications(5)
    async with a.transport, b.transport:
        await both_up(a, b)
        await sent_for(a, b, first)
        wrong = replace(second, payload=bytes(len(bytes(second.payload)) - 1))
        post(a, "b", wrong)
        async with asyncio.timeout(WAIT_S):
            while a.transport._context.neighbors["b"].outbox._known.mark is not None:  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0)
        assert b.transport.counters.rejected == {"size": 1}
        assert await sent_for(a, b, third) > WHOLE_BYTES
        assert await sent_for(a, b, fourth) < 0.5 * WHOLE_BYTES
        assert await sent_for(a, b, fifth) < 0.5 * WHOLE_BYTES
