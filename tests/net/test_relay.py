"""Nodes that only dial out reach each other through a neighbor of both, which sees nothing but sizes and times."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.net.world import QUICK, WAIT_S, Player, Rejections, World, state_of

from gossipfl.errors import NetworkError
from gossipfl.net.channels import SERVICE
from gossipfl.net.duplex import DialedDuplex, LinkLostError
from gossipfl.net.events import Arrived, LinkDown, LinkUp
from gossipfl.net.identity import Identity
from gossipfl.net.relay import OFFERS_PER_PEER
from gossipfl.net.tunnel_frames import DATA_BYTES, Ask, Offer, Opened, read_tunnel, tunnel_bytes, tunnel_frame
from gossipfl.net.tunnels import Exits


@pytest.fixture
def world(world: World) -> World:
    """Two nodes behind firewalls, and two that can be dialed."""
    for name in ("a", "b"):
        world.add(name, dials_only=True)
    for name in ("r", "s"):
        world.add(name)
    return world


def pair(world: World, *relays: str) -> tuple[Player, Player]:
    a = world.player("a", "b", *relays, relays={"b": relays})
    b = world.player("b", "a", *relays, relays={"a": relays})
    return a, b


async def exchange(a: Player, b: Player, seed: int) -> None:
    """A state each way, on the link between the two."""
    a.post("b", state_of(seed))
    b.post("a", state_of(seed + 1))
    assert (await b.event(Arrived)).state == state_of(seed)
    assert (await a.event(Arrived)).state == state_of(seed + 1)


async def link(player: Player, to: str) -> None:
    while (await player.event(LinkUp)).name != to:
        pass


async def test_two_that_only_dial_out_exchange_states(world: World) -> None:
    a, b = pair(world, "r")
    async with world.player("r", "a", "b").transport, a.transport, b.transport:
        await link(a, "b")
        await link(b, "a")
        await exchange(a, b, 1)


async def test_the_relay_reads_nothing_of_what_it_carries(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(world, "r")
    seen: list[bytes] = []

    def watching(data: bytes, *, peer: str) -> Any:
        frame = tunnel_frame(data, peer=peer)
        if isinstance(frame, bytes):
            seen.append(frame)
        return frame

    monkeypatch.setattr("gossipfl.net.tunnel_frames.tunnel_frame", watching)
    async with world.player("r", "a", "b").transport, a.transport, b.transport:
        await link(a, "b")
        await exchange(a, b, 1)
    carried = b"".join(seen)
    assert len(carried) > 4 * 2 * state_of(1).spec.size
    for seed in (1, 2):
        payload = state_of(seed).vector.tobytes()
        assert not any(payload[start : start + 16] in carried for start in range(0, len(payload) - 16, 16))
    # a TLS connection from its first byte: handshake, version 3.x
    assert any(frame[:2] == b"\x16\x03" for frame in seen)


async def test_when_a_relay_is_gone_another_carries(world: World) -> None:
    a, b = pair(world, "r", "s")
    async with a.transport, b.transport:
        async with world.player("r", "a", "b").transport:
            await link(a, "b")
            await exchange(a, b, 1)
        while (await a.event(LinkDown)).name != "b":
            pass
        async with world.player("s", "a", "b").transport:
            await link(a, "b")
            await exchange(a, b, 3)


async def test_a_link_through_a_relay_comes_back_with_a_new_life(world: World) -> None:
    a, b = pair(world, "r")
    async with world.player("r", "a", "b").transport, a.transport:
        async with b.transport:
            await link(a, "b")
        while (await a.event(LinkDown)).name != "b":
            pass
        again = world.player("b", "a", "r", relays={"a": ["r"]}, incarnation=2)
        async with again.transport:
            await link(a, "b")
            await exchange(a, again, 3)


async def test_a_relay_that_carries_nothing_says_so(world: World, rejections: Rejections) -> None:
    a, b = pair(world, "r")
    async with world.player("r", "a", "b", carries=False).transport, a.transport, b.transport:
        assert "carries nothing" in await rejections.wait("relay")


async def test_nothing_is_carried_without_tls(world: World) -> None:
    insecure = Identity("a", insecure=True)
    player = world.player("a", "b", "r", identity=insecure, relays={"b": ["r"]})
    with pytest.raises(NetworkError, match="over TLS only"):
        async with player.transport:
            pass


@contextlib.asynccontextmanager
async def tunnel(world: World, name: str, **kinds: Any) -> AsyncIterator[DialedDuplex]:
    """A hand-driven end of a tunnel."""
    async with world.stranger(name, "r", **kinds) as raw:
        call = raw.channel.stream_stream(f"/{SERVICE}/Tunnel")()
        try:
            yield DialedDuplex(call)
        finally:
            call.cancel()


async def hear(duplex: DialedDuplex) -> object:
    async with asyncio.timeout(WAIT_S):
        return await read_tunnel(duplex, peer="r")


@pytest.fixture
async def relay(world: World) -> AsyncIterator[Player]:
    player = world.player("r", "a", "b", limits=replace(QUICK, connect_timeout_s=WAIT_S))
    async with player.transport:
        yield player


@contextlib.asynccontextmanager
async def paired(world: World) -> AsyncIterator[tuple[DialedDuplex, DialedDuplex]]:
    """What `a` asked for and `b` offered, open."""
    async with tunnel(world, "b") as offering:
        await offering.write(tunnel_bytes(Offer()))
        async with contextlib.AsyncExitStack() as stack, asyncio.timeout(WAIT_S):
            while True:
                asking = await stack.enter_async_context(tunnel(world, "a"))
                await asking.write(tunnel_bytes(Ask("b")))
                # the offer may come in behind it
                with contextlib.suppress(LinkLostError):
                    assert await hear(asking) == Opened("b")
                    break
            assert await hear(offering) == Opened("a")
            yield asking, offering


@pytest.mark.usefixtures("relay")
async def test_a_tunnel_carries_both_ways_in_order(world: World) -> None:
    async with paired(world) as (asking, offering):
        for number in range(50):
            await asking.write(tunnel_bytes(bytes([number]) * (number * 1000 + 1)))
            await offering.write(tunnel_bytes(bytes([number])))
        assert [await hear(offering) for _ in range(50)] == [bytes([n]) * (n * 1000 + 1) for n in range(50)]
        assert [await hear(asking) for _ in range(50)] == [bytes([n]) for n in range(50)]


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.usefixtures("relay")
async def test_when_one_end_goes_the_other_hears_of_it(world: World, gone: int) -> None:
    async with paired(world) as ends:
        ends[gone]._call.cancel()
        with pytest.raises(LinkLostError):
            await hear(ends[1 - gone])


@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize(
    "data", [tunnel_bytes(Offer()), tunnel_bytes(Ask("a")), b"", b"\xff\xff", tunnel_bytes(bytes(DATA_BYTES + 20))]
)
async def test_garbage_in_a_tunnel_ends_it_and_is_counted(
    world: World, relay: Player, rejections: Rejections, data: bytes, sender: int
) -> None:
    async with paired(world) as ends:
        await ends[sender].write(data)
        with pytest.raises(LinkLostError):
            await hear(ends[1 - sender])
        await rejections.wait("garbage")
    assert relay.transport.counters.of("ab"[sender]).rejected["garbage"] == 1


@pytest.mark.parametrize("first", [tunnel_bytes(Opened("b")), tunnel_bytes(b"x"), b"\xff"])
@pytest.mark.usefixtures("relay")
async def test_a_tunnel_that_begins_with_neither_is_garbage(world: World, rejections: Rejections, first: bytes) -> None:
    async with tunnel(world, "a") as asking:
        await asking.write(first)
        with pytest.raises(LinkLostError, match="garbage"):
            await hear(asking)
    await rejections.wait("garbage")


@pytest.mark.parametrize("wished", ["b", "a", "r", "s", "nobody" * 100])
async def test_nobody_is_reached_who_does_not_wait(world: World, relay: Player, wished: str) -> None:
    async with tunnel(world, "a") as asking:
        await asking.write(tunnel_bytes(Ask(wished)))
        with pytest.raises(LinkLostError, match="unavailable: nobody: nobody waits here"):
            await hear(asking)
    # who is there before the other has done nothing wrong
    assert relay.transport.counters.rejected == {}


@pytest.mark.usefixtures("relay")
async def test_an_offer_counts_as_long_as_it_waits(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        offers = [await stack.enter_async_context(tunnel(world, "b")) for _ in range(OFFERS_PER_PEER + 1)]
        for offer in offers:
            await offer.write(tunnel_bytes(Offer()))
        refused = [asyncio.create_task(offer.read()) for offer in offers]
        async with asyncio.timeout(WAIT_S):
            done, waiting = await asyncio.wait(refused, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*refused, return_exceptions=True)
    # all of them are gone: there is room again
    async with paired(world):
        pass


@pytest.mark.usefixtures("relay")
async def test_members_that_are_no_neighbors_get_no_tunnel(world: World) -> None:
    async with tunnel(world, "s") as asking:
        # before it has asked: to who still writes then gRPC may say no more than that the call is over
        with pytest.raises(LinkLostError, match="permission_denied: unknown_sender"):
            await hear(asking)


async def test_who_stands_in_for_the_other_end_is_found_out(
    world: World, rejections: Rejections, tmp_path: Path
) -> None:
    # whatever comes out of the tunnel, here the relay itself, has to have b's certificate
    path = str(tmp_path / "s")
    world.nodes["s"] = world.nodes["s"].model_copy(update={"listen": f"unix:{path}"})
    a, b = pair(world, "r")
    async with world.player("r", "a", "b").transport, world.player("s", "a", "b").transport:
        offering = asyncio.create_task(Exits(b.transport._context, world.nodes["r"], path).run())
        async with a.transport:
            assert "no TLS with 'b'" in await rejections.wait("certificate")
            assert not a.transport._context.neighbors["b"].up
        offering.cancel()
