"""Letters over real links: what a node reads under protection, and what it turns away."""

from collections.abc import AsyncIterator

import pytest
from blake3 import blake3
from tests.net.world import SPEC, Player, Raw, World, state_of

from gossipfl.core.messages import Header
from gossipfl.net.events import Arrived, Delivered
from gossipfl.net.framing import chunk_frames
from gossipfl.net.wire import Envelope, envelope_of
from gossipfl.protection.letters import Letter
from gossipfl.v1 import gossip_pb2 as pb

SIZES = {"share": range(396, 397), "offer": range(1, 1000)}
SHARE = bytes(range(198)) * 2
ROSTER = bytes(range(32))


@pytest.fixture
async def node(world: World) -> AsyncIterator[Player]:
    world.add("a")
    world.add("b", dials_only=True)
    player = world.player("a", "b", letters=SIZES)
    async with player.transport:
        yield player


def envelope(peer: Raw, content: bytes, **changes: object) -> Envelope:
    """Of a letter, with something changed."""
    letter = {"letter": "share", "roster": ROSTER, "codec": "", "payload_bytes": len(content)}
    return peer.envelope(state_of(0), **{**letter, "digest": blake3(content).digest(), **changes})


async def send(peer: Raw, content: bytes, **changes: object) -> None:
    """A letter."""
    await peer.announce(envelope(peer, content, **changes))
    for frame in chunk_frames(content):
        await peer.call.write(frame)


async def test_a_letter_arrives_with_its_header_its_keys_and_its_content(world: World) -> None:
    for name in ("a", "b"):
        world.add(name)
    one, other = (world.player(*pair, letters=SIZES) for pair in (("a", "b"), ("b", "a")))
    async with one.transport, other.transport:
        letter = Letter("share", "b", SHARE, Header(7, 3, done=True), ROSTER)
        one.transport.post_letter(letter, None)
        arrived = await other.event(Delivered)
    assert arrived.sender == "a"
    got = arrived.letter
    assert (got.kind, got.to, got.header, got.roster) == ("share", "b", letter.header, ROSTER)
    assert bytes(got.content) == SHARE


async def test_a_bare_state_is_never_taken_where_sums_are(node: Player, peer: Raw) -> None:
    await peer.send(state_of(1))
    await send(peer, SHARE)
    assert (await node.event(Delivered)).sender == "b"
    assert node.transport.counters.of("b").rejected == {"protection": 1}


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("protection", {"letter": "hop"}),
        ("size", {"payload_bytes": 1 << 60}),
        ("size", {"payload_bytes": 0}),
        ("size", {"letter": "offer", "payload_bytes": 1000}),
        ("size", {"roster": bytes(33)}),
        ("size", {"flow_bytes": 8}),
        ("shape", {"layout": bytes(32)}),
        ("sender", {"sender": "c"}),
    ],
)
async def test_a_letter_that_nobody_expects_is_dropped_before_it_costs_memory(
    node: Player, peer: Raw, reason: str, changes: dict[str, object]
) -> None:
    await peer.announce(envelope(peer, SHARE, **changes))
    await send(peer, SHARE)
    assert bytes((await node.event(Delivered)).letter.content) == SHARE
    assert node.transport.counters.of("b").rejected == {reason: 1}


async def test_a_letter_changed_on_its_way_is_dropped(node: Player, peer: Raw) -> None:
    await send(peer, SHARE, digest=blake3(b"other").digest())
    await send(peer, SHARE)
    await node.event(Delivered)
    assert node.transport.counters.of("b").rejected == {"digest": 1}


async def test_a_node_without_protection_takes_no_letters(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    player = world.player("a", "b")
    async with player.transport, world.stranger("b", "a") as peer:
        assert not (await peer.greet()).rejected
        await send(peer, SHARE)
        await peer.send(state_of(1))
        assert (await player.event(Arrived)).state == state_of(1)
        assert player.transport.counters.of("b").rejected == {"protection": 1}


def test_an_older_wires_envelope_is_a_states() -> None:
    old = pb.Envelope(sender="b", receiver="a", layout=bytes.fromhex(SPEC.digest), push_weight=1.0)
    read = envelope_of(old, peer="b")
    assert (read.letter, read.roster) == ("", b"")
