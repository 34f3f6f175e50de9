"""Two transports and what passes between them."""

import asyncio
import socket

import numpy as np
import pytest
from tests.net.world import SPEC, WAIT_S, Player, World, state_of

from gossipfl.config.peers import NodeConfig
from gossipfl.errors import NetworkError
from gossipfl.net.client import Line
from gossipfl.net.events import Arrived, LinkDown, LinkUp
from gossipfl.net.identity import Identity
from gossipfl.net.issuing import make_node
from gossipfl.net.pinning import Trust
from gossipfl.net.reports import EdgeReport
from gossipfl.state import AdapterSpec, Segment


async def both_up(one: Player, other: Player) -> None:
    await one.event(LinkUp)
    await other.event(LinkUp)


async def test_states_arrive_bit_for_bit_in_both_directions(world: World) -> None:
    world.add("a")
    world.add("b")
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport, b.transport:
        await both_up(a, b)
        a.post("b", state_of(1), round=4)
        b.post("a", state_of(2), round=5)
        at_b, at_a = await b.event(Arrived), await a.event(Arrived)
    assert (at_b.sender, at_b.state, at_b.header.round) == ("a", state_of(1), 4)
    assert (at_a.sender, at_a.state, at_a.header.round) == ("b", state_of(2), 5)


async def test_a_node_that_only_dials_out_takes_part_in_full(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport, b.transport:
        await both_up(a, b)
        a.post("b", state_of(1))
        b.post("a", state_of(2))
        assert (await b.event(Arrived)).state == state_of(1)
        assert (await a.event(Arrived)).state == state_of(2)


async def test_when_both_dial_the_stream_of_the_lower_name_stays(world: World) -> None:
    world.add("a")
    world.add("b")
    for _ in range(5):
        a, b = world.player("a", "b"), world.player("b", "a")
        async with a.transport, b.transport:
            await both_up(a, b)
            links = [*a.transport._context.neighbors["b"].links, *b.transport._context.neighbors["a"].links]
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(*(link.wait_ended() for link in links if link.wiring.dialed_by == "b"))
            for sender, receiver in ((a, b), (b, a)):
                sender.post(receiver.name, state_of(3))
                assert (await receiver.event(Arrived)).state == state_of(3)
            for neighbor in (a.transport._context.neighbors["b"], b.transport._context.neighbors["a"]):
                assert [link.wiring.dialed_by for link in neighbor.links] == ["a"]
            assert not a.transport.counters.rejected
            assert not b.transport.counters.rejected


async def test_an_adapter_of_18_mb_arrives_intact_and_costs_its_payload_and_little_more(world: World) -> None:
    world.spec = AdapterSpec((Segment("w", (4_600_000,)),))
    world.add("a")
    # where both dial, a link that takes another's place just after a message may bring it again
    world.add("b", dials_only=True)
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport, b.transport:
        await both_up(a, b)
        state = state_of(7, world.spec)
        a.post("b", state)
        arrived = await b.event(Arrived)
        assert np.array_equal(arrived.state.vector, state.vector)
        sent, received = a.transport.counters.of("b").bytes_sent, b.transport.counters.of("a").bytes_received
    assert state.vector.nbytes < received <= sent <= 1.001 * state.vector.nbytes


async def test_a_message_for_a_neighbor_that_is_down_waits_and_the_newest_replaces_it(world: World) -> None:
    world.add("a")
    world.add("b")
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport:
        for round_ in range(5):
            a.post("b", state_of(round_), round=round_)
        async with b.transport:
            arrived = await b.event(Arrived)
            assert (arrived.header.round, arrived.state) == (4, state_of(4))
        await a.event(LinkDown)


async def test_messages_that_must_not_be_replaced_all_arrive_in_order(world: World) -> None:
    world.add("a")
    world.add("b")
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport:
        for round_ in range(3):
            a.post("b", state_of(round_), round=round_, replaceable=False)
        async with b.transport:
            assert [(await b.event(Arrived)).header.round for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_that_somebody_else_has_is_said(world: World, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        world.nodes["a"] = NodeConfig(name="a", address=f"{host}:{taken.getsockname()[1]}")
        world.pairs["a"] = make_node("a", world.nodes["a"].address, authority=world.authority)
        with pytest.raises(NetworkError, match="port in use"):
            async with world.player("a").transport:
                pass


async def test_flush_returns_when_everything_has_left_and_leaving_loses_nothing(world: World) -> None:
    world.add("a")
    world.add("b")
    a, b = world.player("a", "b"), world.player("b", "a")
    async with b.transport:
        async with a.transport:
            await both_up(a, b)
            a.post("b", state_of(9))
            assert await a.transport.flush(WAIT_S)
        assert (await b.event(Arrived)).state == state_of(9)


async def test_members_may_ask_for_status_and_members(world: World) -> None:
    world.add("a")
    world.add("b")
    world.add("c", dials_only=True)
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport, b.transport:
        await both_up(a, b)
        async with Line(Trust(world.identity("c")), world.nodes["a"]) as line:
            status, members = await line.status(WAIT_S), await line.members(WAIT_S)
    assert status is not None
    assert (status.name, status.step, status.epsilon, status.neighbors_up, status.neighbors) == ("a", 3, 1.5, 1, 1)
    assert members is not None
    assert {member.name: member.up for member in members} == {"b": True, "c": False}


async def test_details_name_the_edges_and_what_went_over_them(world: World) -> None:
    world.add("a")
    world.add("b")
    world.add("c", dials_only=True)
    a, b = world.player("a", "b", "c"), world.player("b", "a")
    async with a.transport, b.transport, Line(Trust(world.identity("c")), world.nodes["a"]) as line:
        await both_up(a, b)
        b.post("a", state_of(9))
        await a.event(Arrived)
        plain, full = await line.status(WAIT_S), await line.status(WAIT_S, details=True)
    assert plain is not None
    assert plain.details is None
    assert full is not None
    assert full.details is not None
    to_b, to_c = full.details.edges["b"], full.details.edges["c"]
    assert (to_b.up, to_c) == (True, EdgeReport())
    assert to_b.bytes_received == full.bytes_received > 4 * SPEC.size
    assert to_b.bytes_sent == full.bytes_sent


async def test_a_line_finds_a_node_that_is_back(world: World) -> None:
    world.add("a")
    world.add("c")
    async with Line(Trust(world.identity("c")), world.nodes["a"]) as line:
        for _ in range(2):
            async with world.player("a").transport:
                assert await line.status(WAIT_S) is not None
            assert await line.status(WAIT_S) is None


async def test_nobody_answers_a_status_that_is_not_there(world: World) -> None:
    world.add("a")
    world.add("c")
    async with Line(Trust(world.identity("c")), world.nodes["a"]) as line:
        assert await line.status(2.0) is None


async def test_a_port_in_use_is_one_clear_line(world: World) -> None:
    world.add("a")
    world.add("b")
    world.nodes["b"] = world.nodes["b"].model_copy(update={"address": world.nodes["a"].address})
    a, b = world.player("a"), world.player("b")
    async with a.transport:
        with pytest.raises(NetworkError, match="port in use"):
            await b.transport.__aenter__()


async def test_insecure_nodes_exchange_by_their_word(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b", identity=Identity("a", insecure=True))
    b = world.player("b", "a", identity=Identity("b", insecure=True))
    async with a.transport, b.transport:
        await both_up(a, b)
        b.post("a", state_of(2))
        assert (await a.event(Arrived)).state == state_of(2)
