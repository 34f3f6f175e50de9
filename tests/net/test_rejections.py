"""What a peer can do wrong is counted by reason and dropped; the node goes on."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from tests.net.world import QUICK, SPEC, WAIT_S, Player, Raw, Rejections, World, plain_greeting, state_of

from gossipfl.core.factors import resized
from gossipfl.core.handshake import LedgerHead
from gossipfl.core.messages import Header
from gossipfl.net.channels import SERVICE
from gossipfl.net.events import Arrived, LinkDown, LinkUp, Spoke
from gossipfl.net.framing import chunk_frames, envelope_frame, hello_frame
from gossipfl.net.limits import CHUNK_BYTES
from gossipfl.net.wire import Opening, envelope_message, hello_of
from gossipfl.privacy.signing import Signer, sign_head
from gossipfl.state import AdapterSpec, AdapterState, Segment
from gossipfl.v1 import gossip_pb2 as pb

SLOW_S = 0.4
"""From frame to frame: a message of 23 would take three times as long as it may."""
POSTED = 12
MOST_ALIVE = 2
"""States: the one that is being written, and the newest."""


@pytest.fixture
async def node(world: World) -> AsyncIterator[Player]:
    world.add("a")
    world.add("b", dials_only=True)
    world.add("c", dials_only=True)
    player = world.player("a", "b")
    async with player.transport:
        yield player


def filled(value: float) -> AdapterState:
    return AdapterState(SPEC, np.full(SPEC.size, value, np.float32))


def with_one(value: float) -> AdapterState:
    vector = np.zeros(SPEC.size, np.float32)
    vector[3] = value
    return AdapterState(SPEC, vector)


async def still_works(node: Player, peer: Raw) -> None:
    """The same link carries a good message."""
    good = state_of(42)
    await peer.send(good)
    assert (await node.event(Arrived)).state == good


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("sender", {"sender": "c"}),
        ("receiver", {"receiver": "c"}),
        ("codec", {"codec": "top_k"}),
        ("dtype", {"codec": "fp16"}),
        ("shape", {"layout": bytes(32)}),
        ("digest", {"digest": bytes(32)}),
        ("digest", {"digest": b"short"}),
        ("nan", {"header": Header(0, 1, push_weight=float("nan"))}),
        ("infinity", {"header": Header(0, 1, push_weight=float("inf"))}),
    ],
)
async def test_a_wrong_envelope_is_counted_and_the_link_stays(
    node: Player, peer: Raw, reason: str, changes: dict[str, object]
) -> None:
    await peer.send(state_of(1), **changes)
    await still_works(node, peer)
    assert node.transport.counters.of("b").rejected == {reason: 1}


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("nan", with_one(float("nan"))),
        ("infinity", with_one(float("-inf"))),
        ("norm", filled(1e6)),
        ("size", AdapterState(AdapterSpec((Segment("w", (3,)),)), np.ones(3, np.float32))),
    ],
)
async def test_a_wrong_state_is_counted_and_the_link_stays(
    node: Player, peer: Raw, reason: str, state: AdapterState
) -> None:
    await peer.send(state, layout=bytes.fromhex(SPEC.digest))
    await still_works(node, peer)
    assert node.transport.counters.of("b").rejected == {reason: 1}


@pytest.mark.parametrize("state", [with_one(float("nan")), with_one(float("inf")), filled(1e6)])
async def test_the_driver_is_told_that_who_sent_no_state_has_spoken(
    node: Player, peer: Raw, state: AdapterState
) -> None:
    await peer.send(state, header=Header(round=7, step=3))
    assert await node.event(Spoke) == Spoke("b", Header(round=7, step=3))


async def test_a_peer_of_another_rank_sends_what_its_rank_predicts_and_nothing_else(world: World) -> None:
    two, three = (AdapterSpec((Segment("x.core_R", (rank, rank)), Segment("head", (2,)))) for rank in (2, 3))
    world.spec, world.specs = two, {"b": resized(two, 3)}
    world.add("a")
    world.add("b", dials_only=True)
    node = world.player("a", "b")
    async with node.transport, world.stranger("b", "a") as peer:
        assert not (await peer.greet()).rejected
        own, other = (AdapterState(spec, np.ones(spec.size, np.float32)) for spec in (two, three))
        await peer.send(own)
        await peer.send(own, layout=bytes.fromhex(three.digest))
        await peer.send(other)
        assert (await node.event(Arrived)).state == other
        assert node.transport.counters.of("b").rejected == {"shape": 1, "size": 1}


async def test_a_message_of_four_exabytes_costs_no_memory(node: Player, peer: Raw) -> None:
    await peer.announce(peer.envelope(state_of(1), payload_bytes=1 << 62))
    await still_works(node, peer)
    assert node.transport.counters.of("b").rejected == {"size": 1}


async def test_a_replay_is_delivered_once(node: Player, peer: Raw) -> None:
    await peer.send(state_of(1), mark=(1, 7))
    await peer.send(state_of(1), mark=(1, 7))
    await peer.send(state_of(2), mark=(1, 6))
    await peer.send(state_of(3), mark=(2, 1))
    assert [(await node.event(Arrived)).state for _ in range(2)] == [state_of(1), state_of(3)]
    assert node.transport.counters.of("b").rejected == {"replay": 2}


async def test_a_message_cut_off_by_the_next_is_counted_as_truncated(node: Player, peer: Raw) -> None:
    await peer.announce(peer.envelope(state_of(1)))
    await still_works(node, peer)
    assert node.transport.counters.of("b").rejected == {"truncated": 1}


async def test_a_stream_that_ends_inside_a_message_is_counted_as_truncated(
    node: Player, peer: Raw, rejections: Rejections
) -> None:
    await peer.announce(peer.envelope(state_of(1)))
    await peer.call.done_writing()
    await rejections.wait("truncated")
    await node.event(LinkDown)
    assert node.transport.counters.rejected == {"truncated": 1}


@pytest.mark.parametrize(
    ("reason", "frames"),
    [
        ("garbage", [b"\xff\xff\xff\xff not protobuf"]),
        ("garbage", [b""]),
        ("garbage", [b"\x1a\x00"]),
        ("garbage", [next(chunk_frames(b"nobody announced this"))]),
        ("garbage", [b"\x1a\x80\x80\x80\x01" + bytes(CHUNK_BYTES * 2)]),
        ("garbage", [bytes(CHUNK_BYTES)]),
    ],
)
async def test_nonsense_on_a_link_drops_the_link_and_the_next_one_works(
    world: World, node: Player, peer: Raw, reason: str, frames: list[bytes]
) -> None:
    for frame in frames:
        await peer.call.write(frame)
    await node.event(LinkDown)
    assert node.transport.counters.of("b").rejected == {reason: 1}
    async with world.stranger("b", "a") as again:
        await again.greet()
        await still_works(node, again)


async def test_more_than_announced_drops_the_link(node: Player, peer: Raw) -> None:
    await peer.announce(peer.envelope(state_of(1)))
    await peer.call.write(next(chunk_frames(bytes(SPEC.size * 4 + 1))))
    await node.event(LinkDown)
    assert node.transport.counters.of("b").rejected == {"size": 1}


async def test_a_peer_that_stalls_inside_a_message_is_dropped_after_the_time_limit(
    world: World, rejections: Rejections
) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    node = world.player("a", "b", limits=replace(QUICK, message_timeout_s=0.2))
    async with node.transport, world.stranger("b", "a") as raw:
        await raw.greet()
        await raw.announce(raw.envelope(state_of(1)))
        await rejections.wait("timeout")
        await node.event(LinkDown)
    assert node.transport.counters.of("b").rejected["timeout"] == 1


@pytest.mark.slow
async def test_a_peer_that_stops_reading_is_dropped_and_the_message_goes_to_its_next_link(world: World) -> None:
    world.spec = AdapterSpec((Segment("w", (12_000_000,)),))
    world.add("a")
    world.add("b", dials_only=True)
    node = world.player("a", "b", limits=replace(QUICK, message_timeout_s=2.0))
    async with node.transport:
        async with world.stranger("b", "a") as raw:
            await raw.greet()
            await node.event(LinkUp)
            node.post("b", state_of(1, world.spec))
            await node.event(LinkDown)
            assert node.transport.counters.of("b").rejected == {"timeout": 1}
        async with world.stranger("b", "a") as raw:
            await raw.greet()
            assert isinstance(await raw.read(), pb.Envelope)


async def never(_: Raw) -> None:
    """Reads nothing."""
    await asyncio.Event().wait()


async def slowly(raw: Raw) -> None:
    """Reads a frame now and then: there is always progress, and never enough."""
    while await raw.read() is not None:  # noqa: ASYNC110  # it is slow, and waits for nothing
        await asyncio.sleep(SLOW_S)


@pytest.mark.slow
@pytest.mark.parametrize("read", [never, slowly])
async def test_a_slow_reader_is_cut_off_and_what_waits_for_it_is_the_newest_state_alone(
    world: World, read: Callable[[Raw], Coroutine[Any, Any, None]]
) -> None:
    world.spec = AdapterSpec((Segment("w", (6_000_000,)),))
    world.add("a")
    world.add("b", dials_only=True)
    node = world.player("a", "b", limits=replace(QUICK, message_timeout_s=7 * SLOW_S))
    alive: list[weakref.ref[object]] = []
    async with node.transport:
        async with world.stranger("b", "a") as raw:
            await raw.greet()
            await node.event(LinkUp)
            reading = asyncio.create_task(read(raw))
            for number in range(POSTED):
                state = AdapterState(world.spec, np.full(world.spec.size, number, np.float32))
                alive.append(weakref.ref(state.vector))
                node.post("b", state, round=number)
                # the link has its turn: it writes what comes first, and is stuck in it
                await asyncio.sleep(0)
            del state
            assert sum(each() is not None for each in alive) <= MOST_ALIVE
            await node.event(LinkDown)
            assert node.transport.counters.of("b").rejected == {"timeout": 1}
            reading.cancel()
        async with world.stranger("b", "a") as raw:
            await raw.greet()
            newest = await raw.read()
            assert isinstance(newest, pb.Envelope)
            assert (newest.sequence, newest.round) == (POSTED, POSTED - 1)


async def test_garbage_bytes_on_the_port_do_not_hurt(world: World, node: Player) -> None:
    address = world.nodes["a"].address or ""
    host, _, port = address.rpartition(":")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(4096), b"\x16\x03\x01\xff\xff" + bytes(64)):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        await writer.drain()
        writer.close()
    async with world.stranger("b", "a") as raw:
        await raw.greet()
        await still_works(node, raw)


async def test_a_stream_that_ends_before_its_hello_is_no_error_of_ours(world: World, node: Player) -> None:
    async with world.stranger("b", "a") as raw:
        await raw.call.done_writing()
        assert await raw.read() is None
        assert await raw.call.code() is grpc.StatusCode.OK
    assert not node.transport.counters.rejected


async def test_a_stranger_with_a_good_certificate_gets_nothing(
    world: World, node: Player, rejections: Rejections
) -> None:
    async with world.stranger("c", "a") as raw:
        with contextlib.suppress(grpc.RpcError):  # refused by its certificate, maybe before it has said a word
            await raw.call.write(hello_frame(pb.Hello(name="c")))
        assert await raw.read() is None
    await rejections.wait("unknown_sender")
    assert node.transport.counters.rejected == {"unknown_sender": 1}


async def test_a_hello_in_another_name_is_refused(node: Player, world: World, rejections: Rejections) -> None:
    async with world.stranger("b", "a") as raw:
        assert "says that it is" in (await raw.greet(name="c")).rejected
    await rejections.wait("sender")
    assert node.transport.counters.of("b").rejected == {"sender": 1}


async def test_too_many_streams_of_one_peer_are_turned_away(world: World, node: Player) -> None:
    async with world.stranger("b", "a") as first:
        calls = [first.channel.stream_stream(f"/{SERVICE}/Exchange")() for _ in range(6)]
        greeting = plain_greeting("b")
        for call in calls:
            hello = hello_of(Opening(node.transport._context.greet("b"), b"", (0, 0)))
            hello.name = greeting["name"]
            await call.write(hello_frame(hello))
        answers = [await Raw("b", "a", None, call).read() for call in calls]
        assert sum(answer is None for answer in answers) == 2
    assert node.transport.counters.of("b").rejected == {"streams": 2}


async def test_a_message_pushed_without_a_link_passes_the_same_checks(world: World, node: Player) -> None:
    async with world.stranger("b", "a") as raw:

        async def push(state: AdapterState, **changes: object) -> pb.Ack:
            publish = raw.channel.stream_unary(f"/{SERVICE}/Publish", response_deserializer=pb.Ack.FromString)
            hello = hello_of(Opening(replace(node.transport._context.greet("b"), name="b"), b"", (0, 0)))
            envelope = envelope_frame(envelope_message(raw.envelope(state, **changes)))
            payload = state.vector.view(np.uint8).data
            frames = [hello_frame(hello), envelope, *chunk_frames(payload)]
            answer = await publish(iter(frames), timeout=WAIT_S)
            assert isinstance(answer, pb.Ack)
            return answer

        assert not (await push(state_of(1))).rejected
        assert (await node.event(Arrived)).state == state_of(1)
        assert (await push(state_of(1), mark=(1, 1))).rejected == "replay"
        assert (await push(with_one(float("nan")))).rejected == "nan"
    assert node.transport.counters.of("b").rejected == {"replay": 1, "nan": 1}


async def test_a_ledger_that_goes_back_is_refused_on_a_link_and_at_the_next_greeting(
    world: World, node: Player, rejections: Rejections
) -> None:
    def head(charges: int, name: str = "b") -> LedgerHead:
        signer = Signer.from_pem(world.pairs[name].key)
        return sign_head(signer, charges=charges, head=bytes([charges] * 32).hex(), incarnation=1)

    async with world.stranger("b", "a") as raw:
        assert not (await raw.greet(ledger_head=head(3))).rejected
        await raw.send(state_of(1), ledger_head=head(5))
        await raw.send(state_of(2), ledger_head=head(4))
        await raw.send(state_of(2), ledger_head=None)
        await raw.send(state_of(2), ledger_head=head(9, "c"))
        await raw.send(state_of(3), ledger_head=head(5))
        assert [(await node.event(Arrived)).state for _ in range(2)] == [state_of(1), state_of(3)]
        assert node.transport.counters.of("b").rejected == {"ledger": 3}
    await node.event(LinkDown)
    async with world.stranger("b", "a") as raw:
        assert "went back" in (await raw.greet(ledger_head=head(2))).rejected
    await rejections.wait("ledger", lambda text: "now 2" in text)


@pytest.mark.parametrize("charges", [4, 9], ids=["overtaken by messages", "overtaking them"])
async def test_while_a_link_is_in_use_heads_come_with_its_messages_only(
    world: World, node: Player, charges: int
) -> None:
    def head(charges: int, incarnation: int = 1) -> LedgerHead:
        signer = Signer.from_pem(world.pairs["b"].key)
        return sign_head(signer, charges=charges, head=bytes([charges] * 32).hex(), incarnation=incarnation)

    async with world.stranger("b", "a") as raw, world.stranger("b", "a") as late, world.stranger("b", "a") as next_life:
        assert not (await raw.greet(ledger_head=head(3))).rejected
        await raw.send(state_of(1), ledger_head=head(5))
        await node.event(Arrived)
        assert "went back" in (await next_life.greet(ledger_head=head(4, 2), incarnation=2)).rejected
        assert not (await late.greet(ledger_head=head(charges))).rejected
    assert node.transport.heads()["b"].charges == 5
