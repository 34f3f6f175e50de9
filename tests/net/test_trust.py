"""Who is believed: authority, pins, and what happens when certificates or experiments do not fit."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.net.strange import FLAWS, flawed
from tests.net.world import WAIT_S, Player, Rejections, World, state_of

from gossipfl.config.peers import NodeConfig, Peers
from gossipfl.core.handshake import LedgerHead
from gossipfl.errors import CertificateError, HandshakeError
from gossipfl.net.certificate_files import fingerprint
from gossipfl.net.client import Line
from gossipfl.net.events import Arrived, LinkUp
from gossipfl.net.identity import Identity, load_identity
from gossipfl.net.issuing import KeyPair, Lifetime, make_authority, make_node, make_self_signed
from gossipfl.net.pinning import Trust
from gossipfl.privacy.signing import Signer, sign_head

PAST = Lifetime(datetime.now(UTC) - timedelta(days=9), datetime.now(UTC) - timedelta(days=1))


async def exchange(one: Player, other: Player) -> None:
    for sender, receiver in ((one, other), (other, one)):
        sender.post(receiver.name, state_of(5))
        assert (await receiver.event(Arrived)).state == state_of(5)


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_certificate_that_no_issuer_makes_is_refused_and_harms_nobody(world: World, flaw: str) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    shown = flawed(world.identity("b").certificate, flaw)
    with pytest.raises(HandshakeError) as raised:
        Trust(world.identity("a")).admit("b", shown)
    assert raised.value.reason == "certificate"
    player = world.player("a", "b")
    async with player.transport:
        async with world.stranger("b", "a") as peer:
            assert (await peer.greet(certificate=shown)).rejected
        async with world.stranger("b", "a") as peer:
            assert not (await peer.greet()).rejected
            await player.event(LinkUp)
    assert player.transport.counters.rejected == {"certificate": 1}


@pytest.mark.parametrize("flaw", ["another authority", "expired", "another node"])
async def test_a_server_whose_certificate_does_not_fit_is_not_talked_to(
    world: World, rejections: Rejections, flaw: str
) -> None:
    world.add("a", dials_only=True)
    world.add("b")
    address = world.nodes["b"].address
    match flaw:
        case "another authority":
            world.pairs["b"] = make_node("b", address, authority=make_authority())
        case "expired":
            world.pairs["b"] = make_node("b", address, authority=world.authority, lifetime=PAST)
        case _:
            world.pairs["b"] = make_node("z", address, authority=world.authority)
    a, b = world.player("a", "b"), world.player("b", "a")
    async with b.transport, a.transport:
        await rejections.wait("certificate")
        assert not a.transport._context.neighbors["b"].up
        assert set(a.transport.counters.rejected) == {"certificate"}


@pytest.mark.parametrize("flaw", ["another authority", "expired", "another node"])
async def test_a_client_whose_certificate_does_not_fit_gets_nothing_and_the_node_goes_on(
    world: World, flaw: str
) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    good = world.identity("b")
    match flaw:
        case "another authority":
            pair = make_node("b", authority=make_authority())
        case "expired":
            pair = make_node("b", authority=world.authority, lifetime=PAST)
        case _:
            pair = make_node("z", authority=world.authority)
    a = world.player("a", "b")
    async with a.transport:
        bad = Identity("b", pair.certificate, pair.key, world.authority.certificate)
        async with world.stranger("b", "a", identity=bad) as raw:
            assert await raw.call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED}
        b = world.player("b", "a", identity=good)
        async with b.transport:
            await a.event(LinkUp)
            await exchange(a, b)


def pinned(world: World, *names: str, files: tuple[str, ...] = ()) -> dict[str, Identity]:
    """Identities without an authority; `files` have their certificate on every machine."""
    for name in names:
        world.pairs[name] = make_self_signed(name, world.nodes[name].address)
    pins = {name: fingerprint(world.pairs[name].certificate) for name in names}
    certificates = {name: world.pairs[name].certificate for name in files}
    return {
        name: Identity(name, world.pairs[name].certificate, world.pairs[name].key, None, pins, certificates)
        for name in names
    }


async def test_pinned_nodes_fetch_each_others_certificates_and_exchange(world: World) -> None:
    world.add("a")
    world.add("b")
    who = pinned(world, "a", "b")
    a, b = world.player("a", "b", identity=who["a"]), world.player("b", "a", identity=who["b"])
    async with a.transport, b.transport:
        await a.event(LinkUp)
        await b.event(LinkUp)
        await exchange(a, b)


async def test_a_pinned_member_that_is_no_neighbor_may_ask(world: World) -> None:
    for name in "abc":
        world.add(name)
    who = pinned(world, "a", "b", "c")
    players = [world.player("a", "b", identity=who["a"]), world.player("b", "a", "c", identity=who["b"])]
    async with players[0].transport, players[1].transport:
        line = Line(Trust(who["a"]), world.nodes["c"])
        async with world.player("c", "b", identity=who["c"]).transport, line, asyncio.timeout(WAIT_S):
            # as soon as c has fetched a's certificate
            while (answer := await line.status(WAIT_S)) is None:
                pass
        assert answer.name == "c"


async def test_a_pinned_node_that_only_dials_out_is_known_by_its_file(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    who = pinned(world, "a", "b", files=("b",))
    a, b = world.player("a", "b", identity=who["a"]), world.player("b", "a", identity=who["b"])
    async with a.transport, b.transport:
        await a.event(LinkUp)
        await b.event(LinkUp)
        await exchange(a, b)


async def test_a_server_with_another_fingerprint_than_the_pinned_one_is_not_talked_to(
    world: World, rejections: Rejections
) -> None:
    world.add("a", dials_only=True)
    world.add("b")
    who = pinned(world, "a", "b", files=("a",))
    other = make_self_signed("b", world.nodes["b"].address)
    impostor = Identity("b", other.certificate, other.key, None, who["b"].pins, who["b"].certificates)
    a, b = world.player("a", "b", identity=who["a"]), world.player("b", "a", identity=impostor)
    async with b.transport, a.transport:
        text = await rejections.wait("certificate")
    assert who["a"].pins["b"] in text


async def test_with_an_authority_a_pin_must_hold_as_well(world: World, rejections: Rejections) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    good = world.identity("a")
    pins = {"b": "sha256:" + hashlib.sha256(b"another").hexdigest()}
    a = world.player("a", "b", identity=Identity("a", good.certificate, good.key, good.authority, pins))
    b = world.player("b", "a")
    async with a.transport, b.transport:
        await rejections.wait("certificate")
    assert a.transport.counters.of("b").rejected["certificate"] >= 1


def test_a_certificate_that_nobody_vouches_for_is_not_admitted(world: World) -> None:
    world.add("a")
    with pytest.raises(HandshakeError, match="nobody vouches"):
        Trust(world.identity("a")).admit("b", make_self_signed("b").certificate)


@pytest.mark.parametrize(
    ("component", "changes"),
    [
        ("model", {"fingerprint": {"model": "other", "adapter": "a"}}),
        ("adapter", {"fingerprint": {"model": "m", "adapter": "other"}}),
        ("protocol version", {"protocol_version": 3}),
        ("topology version", {"topology_version": 2}),
        ("public basis", {"basis_sketch": (0.5,)}),
        ("codec", {"codecs": ("int8",)}),
    ],
)
async def test_another_experiment_is_refused_and_both_ends_name_what_differs(
    world: World, rejections: Rejections, component: str, changes: dict[str, Any]
) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a, b = world.player("a", "b"), world.player("b", "a", **changes)
    async with a.transport, b.transport:
        texts = [(await rejections.heard.get())["text"] for _ in range(2)]
        assert all(component in text for text in texts)
        assert any("'a'" in text for text in texts)
        assert any("'b'" in text for text in texts)
        assert not a.transport._context.neighbors["b"].up


async def test_a_refused_node_is_welcome_as_soon_as_it_fits(world: World, rejections: Rejections) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a, b = world.player("a", "b"), world.player("b", "a", fingerprint={"model": "other"})
    async with a.transport, b.transport:
        await rejections.wait("fingerprint")
        b.greeting["fingerprint"] = dict(a.greeting["fingerprint"])
        await a.event(LinkUp)
        await exchange(a, b)


async def test_a_dialer_verifies_the_ledger_head_of_the_server_it_reached(world: World, rejections: Rejections) -> None:
    world.add("a", dials_only=True)
    world.add("b")

    def head(pair: KeyPair) -> LedgerHead:
        return sign_head(Signer.from_pem(pair.key), charges=2, head="11" * 32, incarnation=1)

    a = world.player("a", "b", ledger_head=head(world.pairs["a"]))
    forger = world.player("b", "a", ledger_head=head(world.pairs["a"]))
    async with forger.transport, a.transport:
        assert "did not sign" in await rejections.wait("ledger")
        forger.greeting["ledger_head"] = head(world.pairs["b"])
        await a.event(LinkUp)
        await exchange(a, forger)


async def test_a_pin_beside_an_authority_holds_for_a_dialed_node(world: World, rejections: Rejections) -> None:
    world.add("a", dials_only=True)
    world.add("b")
    pin = {"b": fingerprint(world.pairs["b"].certificate)}
    # the authority signed two certificates for b; the pin knows one
    other = make_node("b", world.nodes["b"].address, authority=world.authority)
    false = Identity("b", other.certificate, other.key, world.authority.certificate)
    a = world.player("a", "b", identity=replace(world.identity("a"), pins=pin))
    b = world.player("b", "a", identity=false)
    async with a.transport:
        async with b.transport:
            await rejections.wait("certificate")
            assert not a.transport._context.neighbors["b"].up
        async with world.player("b", "a").transport:
            await a.event(LinkUp)


# ---- load_identity ----


def peers_of(*nodes: NodeConfig, authority: str | None = "authority.pem") -> Peers:
    return Peers(experiment="experiment.yaml", authority=authority, nodes=nodes)


def written(folder: Path, name: str, pair: KeyPair, **fields: str) -> NodeConfig:
    (folder / f"{name}.pem").write_bytes(pair.certificate)
    (folder / f"{name}.key").write_bytes(pair.key)
    return NodeConfig.model_validate({"name": name, "certificate": f"{name}.pem", "key": f"{name}.key", **fields})


def test_an_identity_is_read_from_peers_yaml_and_its_files(tmp_path: Path) -> None:
    authority = make_authority()
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    a = written(tmp_path, "a", make_node("a", authority=authority))
    b = NodeConfig(name="b", address="b.example.org:7001", certificate="elsewhere.pem")
    identity = load_identity(peers_of(a, b), tmp_path, a)
    assert (identity.name, identity.authority) == ("a", authority.certificate)
    assert "key" not in repr(identity)


@pytest.mark.parametrize(
    ("message", "b"),
    [
        ("fingerprint: needed", {"address": "b.example.org:7001"}),
        ("needs its PEM file", {"fingerprint": "sha256:" + "0" * 64}),
    ],
)
def test_a_node_that_could_not_be_recognized_is_said_at_once(tmp_path: Path, message: str, b: dict[str, str]) -> None:
    a = written(tmp_path, "a", make_self_signed("a"))
    other = NodeConfig.model_validate({"name": "b", **b})
    with pytest.raises(CertificateError, match=message):
        load_identity(peers_of(a, other, authority=None), tmp_path, a)
    assert load_identity(peers_of(a, other, authority=None), tmp_path, a, neighbors=()).authority is None


def test_a_certificate_of_another_authority_than_the_named_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "authority.pem").write_bytes(make_authority().certificate)
    a = written(tmp_path, "a", make_node("a", authority=make_authority()))
    with pytest.raises(CertificateError, match="not signed by the authority"):
        load_identity(peers_of(a), tmp_path, a)


def test_plaintext_is_only_on_purpose_and_loud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    a = NodeConfig(name="a", address="a.example.org:7001")
    with pytest.raises(CertificateError, match=r"nodes\.a\.certificate"):
        load_identity(peers_of(a, authority=None), tmp_path, a)
    assert load_identity(peers_of(a, authority=None), tmp_path, a, insecure=True).insecure
    assert "INSECURE" in caplog.text


async def test_trust_in_a_node_that_is_not_there_is_an_os_error(world: World) -> None:
    world.add("a")
    world.add("b")
    trust = Trust(pinned(world, "a", "b")["a"])
    with pytest.raises(OSError, match=r".+"):
        await trust.fetch("b", world.nodes["b"].address or "", 2.0)
