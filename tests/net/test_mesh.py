"""Who is up, over real gRPC with real certificates; and whoever's certificate is revoked is out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
from tests.net.world import QUICK, WAIT_S, World, plain_greeting, state_of

from gossipfl.core.codecs.dtypes import Plain
from gossipfl.core.handshake import Greeting
from gossipfl.core.swim import Card, Doubt, Kind, Pace, Swim, Word
from gossipfl.errors import CertificateError, HandshakeError, MessageError
from gossipfl.net.cards import certificate_of, seal_for
from gossipfl.net.channels import SERVICE, open_channel
from gossipfl.net.events import LinkDown, LinkUp, MembersChanged, NetEvent
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import make_authority, make_node
from gossipfl.net.mesh import Mesh
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.revocations import NOTHING_REVOKED, Revocations, read_revocations, revoke
from gossipfl.net.transport import Transport
from gossipfl.net.words import word_bytes, word_of
from gossipfl.state import AdapterState

TICK_S = 0.05


class Member:
    """A node's transport whose neighbors are all that are up."""

    def __init__(self, world: World, name: str, *through: str, identity: Identity | None = None) -> None:
        self.name, self.world = name, world
        self.events: asyncio.Queue[NetEvent] = asyncio.Queue()
        self.up: Sequence[str] = ()
        me = world.nodes[name]
        self.trust = Trust(identity or world.identity(name))
        machine = Swim(name, 1, Pace(tick_s=TICK_S), seal_for(self.trust, me.address or ""), np.random.default_rng(1))
        addresses = [str(world.nodes[other].address) for other in through]
        self.mesh = Mesh(
            machine,
            self.trust,
            QUICK,
            contacts=addresses,
            changed=lambda up: self.events.put_nowait(MembersChanged(up)),
        )
        self.transport = Transport(
            self.trust.identity,
            me,
            [],
            greet=lambda _: Greeting(**plain_greeting(name)),
            origin=AdapterState.zeros(world.spec),
            codec=Plain(),
            limits=QUICK,
            deliver=self.events.put_nowait,
            status=lambda: StatusSnapshot(name),
            trust=self.trust,
            mesh=self.mesh,
        )

    async def until_up(self, *names: str) -> None:
        """Follows who is up until it is these."""
        async with asyncio.timeout(WAIT_S):
            while sorted(self.up) != sorted(names):
                event = await self.events.get()
                if isinstance(event, MembersChanged):
                    self.up = tuple(event.up)
                    nodes = [self.world.nodes[name] for name in self.up]
                    self.transport.rewire([node for node in nodes if node.name != self.name], nodes)

    async def until(self, kind: type[NetEvent], name: str) -> None:
        """The next event of a kind about a node."""
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await self.events.get()
                if isinstance(event, kind) and getattr(event, "name", "") == name:
                    return


@contextlib.asynccontextmanager
async def running(*members: Member) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for member in members:
            await stack.enter_async_context(member.transport)
        yield


async def tell(world: World, who: Identity, to: str, data: bytes) -> grpc.StatusCode:
    """What a node answers to a word of somebody with this certificate."""
    address = str(world.nodes[to].address)
    async with open_channel(who, Trust(who), to, address, keepalive_s=10) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Tell")(data, timeout=WAIT_S)
        return await call.code()


async def test_three_that_know_one_address_each_find_each_other_link_up_and_part(world: World) -> None:
    for name in "abc":
        world.add(name)
    a, b, c = Member(world, "a"), Member(world, "b", "a"), Member(world, "c", "b")
    async with running(a, b):
        async with running(c):
            await asyncio.gather(*(each.until_up("a", "b", "c") for each in (a, b, c)))
            await asyncio.gather(a.until(LinkUp, "c"), c.until(LinkUp, "a"))
        # it took leave as it was closed
        await asyncio.gather(a.until_up("a", "b"), b.until_up("a", "b"))


async def test_one_whose_certificate_another_authority_signed_is_not_let_in(world: World) -> None:
    world.add("a")
    world.add("b", pair=make_node("b", authority=make_authority()))
    pair = world.pairs["b"]
    b = Member(world, "b", "a", identity=Identity("b", pair.certificate, pair.key, world.authority.certificate))
    a = Member(world, "a")
    async with running(a, b):
        word = word_bytes(Word(Kind.PING, 1, cards=(b.mesh.machine.card,)))
        assert await tell(world, b.trust.identity, "a", word) == grpc.StatusCode.UNAVAILABLE
        assert a.mesh.machine.up == ("a",)


async def test_words_that_are_none_are_refused_and_counted(world: World) -> None:
    for name in "ab":
        world.add(name)
    a = Member(world, "a")
    async with running(a):
        who = world.identity("b")
        for data in (b"\xff" * 40, b"\0" * (1 << 19), word_bytes(Word(Kind.PING, 1, about="../x"))):
            assert await tell(world, who, "a", data) == grpc.StatusCode.INVALID_ARGUMENT
        assert a.transport.counters.rejected["garbage"] == 3


async def test_a_node_whose_certificate_is_revoked_is_cut_off_and_stays_out(world: World) -> None:
    for name in "abc":
        world.add(name)
    a, b, c = Member(world, "a"), Member(world, "b", "a"), Member(world, "c", "a")
    async with running(a, b, c):
        await asyncio.gather(*(each.until_up("a", "b", "c") for each in (a, b, c)))
        await asyncio.gather(a.until(LinkUp, "c"), b.until(LinkUp, "c"))
        listed = revoked_by(world, "c")
        for member in (a, b):
            member.transport.revoke(listed)
            assert "c" not in member.mesh.machine.up
        await asyncio.gather(a.until(LinkDown, "c"), b.until(LinkDown, "c"))
        word = word_bytes(Word(Kind.PING, 1, cards=(c.mesh.machine.card,)))
        assert await tell(world, c.trust.identity, "a", word) == grpc.StatusCode.PERMISSION_DENIED
        async with world.stranger("c", "a") as raw:
            await raw.call.write(b"")
            assert await raw.read() is None
        # what the others say of it is not believed either
        await tell(world, b.trust.identity, "a", word)
        assert a.mesh.machine.member("c") is None
        # and nobody dials into the arms of its key
        with pytest.raises(HandshakeError, match="revoked"):
            await a.trust.fetch("c", str(world.nodes["c"].address), WAIT_S)
        assert a.trust.client_roots("c") is None
    assert a.transport.counters.rejected["certificate"] >= 1


async def test_after_a_revocation_the_others_still_find_each_other(world: World) -> None:
    for name in "abx":
        world.add(name)
    a, b = Member(world, "a"), Member(world, "b", "a")
    listed = revoked_by(world, "x")
    async with running(a):
        a.transport.revoke(listed)
        b.trust.revoke(listed)
        async with running(b):
            await asyncio.gather(a.until_up("a", "b"), b.until_up("a", "b"))
            await a.until(LinkUp, "b")


async def test_a_state_for_who_is_a_neighbor_no_longer_is_dropped(world: World) -> None:
    for name in "ab":
        world.add(name)
    player = world.player("a", "b")
    async with player.transport:
        player.transport.rewire([], [world.nodes["b"]])
        player.post("b", state_of(1))
        assert player.transport.counters.messages_sent == 0


def revoked_by(world: World, *names: str) -> Revocations:
    """The authority's list with these nodes' certificates, read as a node reads it."""
    listed, pem = NOTHING_REVOKED, b""
    for name in names:
        pem = revoke(world.pairs[name].certificate, listed, authority=world.authority)
    assert world.folder is not None
    path = world.folder / "revoked.pem"
    path.write_bytes(pem)
    return read_revocations(path, world.authority.certificate)


def test_a_list_is_the_authoritys_and_never_goes_back(tmp_path: Path, world: World) -> None:
    path, authority = tmp_path / "revoked.pem", world.authority
    first, second = (make_node(name, authority=authority).certificate for name in ("a", "b"))
    path.write_bytes(revoke(first, NOTHING_REVOKED, authority=authority))
    one = read_revocations(path, authority.certificate)
    assert (one.covers(first), one.covers(second), one.number) == (True, False, 1)
    before = path.read_bytes()
    path.write_bytes(revoke(second, one, authority=authority))
    two = read_revocations(path, authority.certificate, least=1)
    assert (two.covers(first), two.covers(second), two.number) == (True, True, 2)
    path.write_bytes(before)
    with pytest.raises(CertificateError, match="list number 1, and 2 was read before"):
        read_revocations(path, authority.certificate, least=2)
    with pytest.raises(CertificateError, match="not signed by the authority"):
        read_revocations(path, make_authority().certificate)
    for content in (b"", b"nonsense", first):
        path.write_bytes(content)
        with pytest.raises(CertificateError, match="no PEM revocation list"):
            read_revocations(path, authority.certificate)
    with pytest.raises(CertificateError, match="none that this authority has signed"):
        revoke(make_node("a", authority=make_authority()).certificate, one, authority=authority)
    with pytest.raises(CertificateError, match="none that this authority has signed"):
        revoke(b"nonsense", one, authority=authority)


def test_a_revoked_certificate_is_not_admitted_though_it_was_before(world: World) -> None:
    for name in "ab":
        world.add(name)
    trust, pem = Trust(world.identity("a")), world.pairs["b"].certificate
    trust.admit("b", pem)
    assert trust.revoke(revoked_by(world, "b"))
    assert trust.certificate("b") is None
    with pytest.raises(HandshakeError, match="was revoked"):
        trust.admit("b", pem)
    # nor when it lies on this machine
    here = Identity("a", authority=world.authority.certificate, certificates={"b": pem}, revoked=trust.revoked)
    assert Trust(here).certificate("b") is None
    again = make_node("b", authority=world.authority).certificate
    trust.admit("b", again)
    assert trust.certificate("b") == again


def test_a_card_is_its_owners_or_nobodys(world: World) -> None:
    for name in "ab":
        world.add(name)
    ours = seal_for(Trust(world.identity("a")), "a:1")
    card = seal_for(Trust(world.identity("b")), "b:1").card("b", 7, False)
    assert ours.believes(card)
    assert certificate_of(card).strip() == world.pairs["b"].certificate.strip()
    for name, address, incarnation, left in (("a", "b:1", 7, False), ("b", "c:1", 7, False), ("b", "b:1", 8, False)):
        assert not ours.believes(Card(name, address, incarnation, left, card.proof))
    assert not ours.believes(Card("b", "b:1", 7, True, card.proof))
    for proof in (b"", b"\0", b"\xff\xff" + card.proof[2:], card.proof[:-1], card.proof[:2]):
        assert not ours.believes(Card("b", "b:1", 7, False, proof))
    stranger = make_node("b", authority=make_authority())
    forged = seal_for(Trust(Identity("b", stranger.certificate, stranger.key)), "b:1").card("b", 9, False)
    assert not ours.believes(forged)


def test_words_are_the_same_after_the_wire_and_what_is_too_large_is_none() -> None:
    cards = tuple(Card(f"n{place}", "h:1", place, place % 2 == 0, b"p") for place in range(32))
    word = Word(Kind.PASS, 2**64 - 1, "m", b"proof", 2**64 - 1, cards, (Doubt("x", 3),))
    assert word_of(word_bytes(word), peer="m") == word
    bad = (
        Word(Kind.PING, 1, cards=(*cards, cards[0])),
        Word(Kind.PING, 1, doubts=(Doubt("x", 1),) * 33),
        Word(Kind.PING, 1, doubts=(Doubt("", 1),)),
        Word(Kind.PING, 1, doubts=(Doubt("x", 2**63),)),
        Word(Kind.PING, 1, proof=b"x" * 5000),
        Word(Kind.PING, 1, cards=(Card("n", "nowhere", 1),)),
        Word(Kind.PING, 1, cards=(Card("n", "h" * 300 + ":1", 1),)),
        Word(Kind.PING, 1, cards=(Card("n", "h:1", 2**63),)),
    )
    # a field that nobody knows is no reason to refuse, its size is
    with pytest.raises(MessageError, match="at most"):
        word_of(word_bytes(word) + b"\x7a\x80\x80\x20" + bytes(1 << 19), peer="m")
    for each in bad:
        with pytest.raises(MessageError):
            word_of(word_bytes(each), peer="m")
