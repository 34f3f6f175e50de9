"""What one peer may cost: it is read no faster than its share, and answered no more often."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from time import monotonic
from typing import Any

import grpc
import numpy as np
import pytest
from tests.net.world import QUICK, SPEC, WAIT_S, Player, Raw, Rejections, World, state_of

from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.events import Arrived, LinkUp, NetEvent, Spoke
from gossipfl.net.framing import chunk_frames
from gossipfl.net.intake import SMALLEST_FRAME, Intake
from gossipfl.net.limits import Limits
from gossipfl.net.pinning import Trust
from gossipfl.state import AdapterState
from gossipfl.v1 import gossip_pb2 as pb

PAIR = 2 * SMALLEST_FRAME
"""What a message of one envelope and one chunk is charged for when it is small."""


@contextlib.asynccontextmanager
async def flooded(world: World, limits: Limits) -> AsyncIterator[tuple[Player, Raw]]:
    """A node with these limits, and a neighbor in its own hands."""
    world.add("a")
    world.add("b", dials_only=True)
    player = world.player("a", "b", limits=limits)
    async with player.transport, world.stranger("b", "a") as raw:
        assert not (await raw.greet()).rejected
        await player.event(LinkUp)
        yield player, raw


async def send_all(raw: Raw, count: int) -> None:
    for number in range(count):
        await raw.send(state_of(number))


async def get(player: Player) -> NetEvent:
    """The next event; the driver is not done with it."""
    async with asyncio.timeout(WAIT_S):
        return await player.events.get()


async def test_no_more_than_waiting_messages_wait_for_the_driver(world: World) -> None:
    async with flooded(world, replace(QUICK, waiting=2)) as (player, raw):
        sending = asyncio.create_task(send_all(raw, 9))
        heard = [await get(player), await get(player)]
        # a call that is answered has taken its turns on the same event loop
        for _ in range(20):
            await ask(raw.channel)
        assert player.events.empty()

        for number in range(2, 9):
            player.transport.handled("b")
            heard.append(await get(player))
            assert len(heard) == number + 1
        await sending

    states = [event.state for event in heard if isinstance(event, Arrived)]
    assert states == [state_of(number) for number in range(9)]


async def test_messages_whose_numbers_are_no_state_wait_for_the_driver_likewise(world: World) -> None:
    nothing = AdapterState(SPEC, np.full(SPEC.size, np.nan, np.float32))
    async with flooded(world, replace(QUICK, waiting=2)) as (player, raw):

        async def send_nothing() -> None:
            for _ in range(5):
                await raw.send(nothing)

        sending = asyncio.create_task(send_nothing())
        heard = [await get(player), await get(player)]
        for _ in range(20):
            await ask(raw.channel)
        assert player.events.empty()
        for _ in range(3):
            player.transport.handled("b")
            heard.append(await get(player))
        await sending
    assert all(isinstance(event, Spoke) for event in heard)


async def test_a_driver_that_is_gone_holds_up_no_farewell(world: World) -> None:
    world.add("a", dials_only=True)
    world.add("b")
    limits = replace(QUICK, waiting=1, close_s=WAIT_S)
    dialing, other = world.player("a", "b", limits=limits), world.player("b", "a", limits=limits)
    async with other.transport:
        async with dialing.transport:
            await other.event(LinkUp)
            for number in range(5):
                other.post("a", state_of(number), replaceable=False)
            while not isinstance(await get(dialing), Arrived):
                pass
            started = monotonic()
        assert monotonic() - started < QUICK.message_timeout_s


async def test_messages_come_no_faster_than_their_rate(world: World) -> None:
    async with flooded(world, replace(QUICK, messages_per_s=50)) as (player, raw):
        started = monotonic()
        sending = asyncio.create_task(send_all(raw, 80))
        for _ in range(80):
            await player.event(Arrived)
        took = monotonic() - started
        await sending
    # the greeting is no message: 50 at once, and the other 30 at 50 a second
    assert took >= 30 / 50


async def test_bytes_come_no_faster_than_their_rate_and_waiting_is_no_slowness(world: World) -> None:
    limits = replace(QUICK, bytes_per_s=PAIR, message_timeout_s=0.4)
    async with flooded(world, limits) as (player, raw):
        started = monotonic()
        # half a second for each piece after the first, longer than a whole message may take
        await raw.announce(raw.envelope(state_of(0)))
        for piece in np.array_split(state_of(0).vector.view(np.uint8), 4):
            for frame in chunk_frames(piece.data):
                await raw.call.write(frame)
        assert (await player.event(Arrived)).state == state_of(0)
        assert player.transport.counters.rejected == {}
    assert monotonic() - started >= 1.5


async def ask(channel: grpc.aio.Channel) -> object:
    status: Any = channel.unary_unary(
        f"/{SERVICE}/Status", pb.StatusRequest.SerializeToString, pb.StatusReply.FromString
    )
    return await status(pb.StatusRequest())


async def test_a_member_that_calls_too_often_is_refused_and_answered_again_later(world: World) -> None:
    async with flooded(world, replace(QUICK, calls_per_s=4)) as (player, raw):
        async with asyncio.timeout(WAIT_S):
            while await answered(raw.channel):
                pass
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError, match="calls more often than 4 times a second") as refusal:
                await ask(raw.channel)
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert player.transport.counters.of("b").rejected == {"rate": 3}
        async with asyncio.timeout(WAIT_S):
            while not await answered(raw.channel):
                pass


async def answered(channel: grpc.aio.Channel) -> bool:
    with contextlib.suppress(grpc.RpcError):
        await ask(channel)
        return True
    return False


async def test_a_member_has_so_many_calls_open_and_no_more(world: World, rejections: Rejections) -> None:
    async with flooded(world, replace(QUICK, calls_at_once=2)) as (player, raw):
        # the link is one; this one says nothing and stays open
        silent: Any = raw.channel.stream_stream(f"/{SERVICE}/Exchange")()
        opened = asyncio.create_task(silent.read())
        await raw.send(state_of(0))
        await player.event(Arrived)
        async with asyncio.timeout(WAIT_S):
            while await answered(raw.channel):
                pass
        assert "2 calls open" in await rejections.wait("rate")

        silent.cancel()
        async with asyncio.timeout(WAIT_S):
            while not await answered(raw.channel):
                pass
        with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
            await opened


async def has_closed(line: socket.socket) -> None:
    """Returns when the other side has closed."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.get_running_loop().sock_recv(line, 1) == b""


async def test_connections_beyond_the_limit_are_closed_as_they_come_and_there_is_room_when_some_have_gone(
    world: World,
) -> None:
    port = world.add("a").address
    assert port is not None
    world.add("b", dials_only=True)
    player = world.player("a", "b", limits=replace(QUICK, connections=5))
    async with player.transport:
        with contextlib.ExitStack() as stack:
            lines = [stack.enter_context(await dialed(port)) for _ in range(8)]
            ends = [asyncio.create_task(has_closed(line)) for line in lines]
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(*ends[5:])
            assert not any(end.done() for end in ends[:5])
            for end in ends[:5]:
                end.cancel()
            await asyncio.gather(*ends[:5], return_exceptions=True)
        me = world.identity("b")
        async with open_channel(me, Trust(me), "a", port, keepalive_s=10) as channel, asyncio.timeout(WAIT_S):
            # it may be a moment until the node knows that they are gone
            while not await answered(channel):
                pass


async def dialed(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    line = socket.socket()
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (host, int(port)))
    return line


async def test_a_connection_without_calls_is_closed_and_one_with_a_link_stays(world: World) -> None:
    async with flooded(world, replace(QUICK, idle_s=0.2)) as (player, raw):
        me, address = world.identity("b"), world.nodes["a"].address
        assert address is not None
        async with open_channel(me, Trust(me), "a", address, keepalive_s=10) as channel:
            assert await answered(channel)
            state = channel.get_state()
            async with asyncio.timeout(WAIT_S):
                while state is not grpc.ChannelConnectivity.IDLE:
                    await channel.wait_for_state_change(state)
                    state = channel.get_state()
            assert await answered(channel), "a new connection is made for the next call"
        await raw.send(state_of(0))
        assert (await player.event(Arrived)).state == state_of(0)


@pytest.mark.parametrize(("frames", "payload"), [(1000, True), (3, False)])
async def test_small_frames_are_charged_for_being_frames(frames: int, *, payload: bool) -> None:
    limits = Limits(bytes_per_s=SMALLEST_FRAME * 500, messages_per_s=2)
    intake, started = Intake(limits), monotonic()
    for _ in range(frames):
        await intake.admit(1, payload=payload)
    assert monotonic() - started >= (1.0 if payload else 0.5)


async def test_an_end_of_work_opens_what_was_held_back() -> None:
    intake = Intake(Limits(waiting=1))
    intake.handed_over()
    held = asyncio.create_task(intake.admit(10, payload=False))
    await asyncio.sleep(0)
    assert not held.done()
    intake.close()
    async with asyncio.timeout(WAIT_S):
        await held
