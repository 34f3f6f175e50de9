"""A list of revocations comes while a peer greets, pushes or has a link: its certificate is looked at again."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from tests.net.test_mesh import revoked_by
from tests.net.world import WAIT_S, Player, World, plain_greeting, state_of

from gossipfl.core.handshake import Greeting
from gossipfl.net import dialer
from gossipfl.net.channels import SERVICE
from gossipfl.net.duplex import Duplex
from gossipfl.net.events import Arrived, LinkDown, LinkUp, NetEvent
from gossipfl.net.framing import ack_frame, chunk_frames, envelope_frame, hello_frame
from gossipfl.net.handshake import greet
from gossipfl.net.wire import Opening, envelope_message, hello_of


def heard(player: Player) -> list[NetEvent]:
    """All that its driver was told and has not asked for."""
    return [player.events.get_nowait() for _ in range(player.events.qsize())]


def hello(name: str) -> bytes:
    return hello_frame(hello_of(Opening(Greeting(**plain_greeting(name)), b"", (0, 0))))


@pytest.fixture
def pair(world: World) -> tuple[Player, Player]:
    """`a`, which only dials, and `b`; `x` is nobody's neighbor."""
    world.add("a", dials_only=True)
    world.add("b")
    world.add("x")
    return world.player("a", "b"), world.player("b", "a")


@pytest.mark.parametrize("place", [0, 1])
async def test_whoever_was_dialed_or_has_dialed_is_cut_off(
    place: int, pair: tuple[Player, Player], world: World
) -> None:
    a, b = pair
    async with b.transport, a.transport:
        await a.event(LinkUp)
        await b.event(LinkUp)
        player = pair[place]
        player.transport.revoke(revoked_by(world, pair[1 - place].name))
        await player.event(LinkDown)


async def test_all_links_begin_anew_and_the_same_list_again_changes_nothing(
    pair: tuple[Player, Player], world: World
) -> None:
    a, b = pair
    async with b.transport, a.transport:
        await a.event(LinkUp)
        listed = revoked_by(world, "x")
        a.transport.revoke(listed)
        await a.event(LinkDown)
        await a.event(LinkUp)
        a.transport.revoke(listed)
        b.post("a", state_of(1))
        await a.event(Arrived)
        assert heard(a) == []


async def test_who_is_revoked_while_it_greets_gets_no_link(world: World) -> None:
    world.add("b")
    world.add("c", dials_only=True)
    b = world.player("b", "c")
    async with b.transport, world.stranger("c", "b") as raw:
        await raw.call.write(hello("c"))
        await raw.read()
        await raw.read()
        b.transport.revoke(revoked_by(world, "c"))
        await raw.call.write(ack_frame())
        assert await raw.read() is None
        assert heard(b) == []


async def test_whoever_is_greeted_when_a_list_comes_is_greeted_again(
    pair: tuple[Player, Player], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    greeted: list[Opening] = []

    async def in_the_middle(duplex: Duplex, ours: Opening) -> None:
        greeted.append(ours)
        a.transport.revoke(revoked_by(world, "x"))
        await greet(duplex, ours)

    monkeypatch.setattr(dialer, "greet", in_the_middle)
    async with b.transport, a.transport:
        await a.event(LinkUp)
        assert len(greeted) == 2


async def test_what_a_revoked_peer_is_pushing_is_not_taken(world: World) -> None:
    world.add("b")
    world.add("c", dials_only=True)
    b, state = world.player("b", "c"), state_of(1)
    async with b.transport, world.stranger("c", "b") as raw:

        async def frames() -> AsyncIterator[bytes]:
            yield hello("c")
            yield envelope_frame(envelope_message(raw.envelope(state)))
            async with asyncio.timeout(WAIT_S):
                while not b.transport.counters.of("c").bytes_received:  # noqa: ASYNC110  # nobody is told of a frame
                    await asyncio.sleep(0)
            b.transport.revoke(revoked_by(world, "c"))
            for frame in chunk_frames(state.vector.view(np.uint8).data):
                yield frame

        with pytest.raises(grpc.aio.AioRpcError):
            await raw.channel.stream_unary(f"/{SERVICE}/Publish")(frames())
        assert heard(b) == []
