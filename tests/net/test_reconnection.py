"""Links that break come back, and what was lost with them goes again."""

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace

from tests.net.world import QUICK, WAIT_S, World, free_port, state_of

from gossipfl.net.dialer import Dialer, Outcome
from gossipfl.net.events import Arrived, LinkDown, LinkUp
from gossipfl.net.wire import Opening, hello_of
from gossipfl.v1 import gossip_pb2 as pb


async def test_a_node_that_restarts_is_found_again(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    b = world.player("b", "a")
    async with b.transport:
        for life in (1, 2, 3):
            a = world.player("a", "b", incarnation=life)
            async with a.transport:
                assert (await b.event(LinkUp)).greeting.incarnation == life
                a.post("b", state_of(life))
                arrived = await b.event(Arrived)
                assert (arrived.incarnation, arrived.state) == (life, state_of(life))
            await b.event(LinkDown)


async def test_what_a_lost_link_did_not_deliver_goes_with_the_next_one(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    async with a.transport:
        async with world.stranger("b", "a") as raw:
            await raw.greet()
            a.post("b", state_of(1))
            assert isinstance(await raw.read(), pb.Envelope)
        await a.event(LinkDown)
        # it never said that it got the message
        b = world.player("b", "a")
        async with b.transport:
            assert (await b.event(Arrived)).state == state_of(1)


class Middlebox:
    """A TCP proxy that can forget a connection: one end gets a reset, the other hears nothing ever after."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._clients: list[asyncio.StreamWriter] = []
        self._silent: set[asyncio.StreamWriter] = set()
        self.port = free_port()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pump(reader, far_writer, writer), self._pump(far_reader, writer, writer))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if client not in self._silent:
                    sink.write(data)
            if client not in self._silent:
                sink.close()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    def go_silent(self) -> None:
        self._silent.update(self._clients)

    def reset_clients(self) -> None:
        for client in self._clients:
            client.transport.abort()


async def test_a_message_into_a_link_that_only_the_peer_knows_is_dead_goes_with_the_next_one(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    real = world.nodes["a"]
    box = Middlebox(int((real.address or "").rpartition(":")[2]))
    world.nodes["a"] = real.model_copy(update={"address": f"127.0.0.1:{box.port}"})
    b = world.player("b", "a")
    async with await box.serve(), a.transport, b.transport:
        await a.event(LinkUp)
        await b.event(LinkUp)
        box.go_silent()
        a.post("b", state_of(1), round=1, replaceable=False)
        assert await a.transport.flush(WAIT_S), "as far as a can tell, the message has left"
        box.reset_clients()
        assert (await b.event(Arrived)).header.round == 1
        a.post("b", state_of(2), round=2, replaceable=False)
        assert (await b.event(Arrived)).header.round == 2


async def test_what_the_peer_says_it_has_seen_is_not_sent_again(world: World) -> None:
    world.add("a")
    world.add("b")
    a, b = world.player("a", "b"), world.player("b", "a")
    async with a.transport:
        async with b.transport:
            await b.event(LinkUp)
            a.post("b", state_of(1))
            await b.event(Arrived)
            seen = b.transport._context.checks.freshness.seen("a")
        await a.event(LinkDown)
        async with world.stranger("b", "a") as raw:
            opening = Opening(replace(b.transport._context.greet("a"), incarnation=2), b"", seen)
            await raw.call.write(pb.Frame(hello=hello_of(opening)).SerializeToString())
            assert isinstance(await raw.read(), pb.Hello)
            assert isinstance(await raw.read(), pb.Ack)
            await raw.call.write(pb.Frame(ack=pb.Ack()).SerializeToString())
            await a.event(LinkUp)
            a.post("b", state_of(2))
            envelope = await raw.read()
            assert isinstance(envelope, pb.Envelope)
            assert envelope.sequence == 2


async def test_a_new_life_takes_the_place_of_a_link_nobody_has_seen_die(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    async with a.transport, world.stranger("b", "a") as old:
        await old.greet()
        await a.event(LinkUp)
        async with world.stranger("b", "a") as new:
            await new.greet(incarnation=2)
            await a.event(LinkDown)
            assert (await a.event(LinkUp)).greeting.incarnation == 2
            a.post("b", state_of(1))
            assert isinstance(await new.read(), pb.Envelope)


async def test_a_killed_process_is_noticed_at_once(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    pair, authority = world.pairs["b"], world.authority.certificate
    async with a.transport:
        program = subprocess.Popen(  # noqa: ASYNC220  # killed below
            [sys.executable, "-c", PEER, world.nodes["a"].address or ""], stdin=subprocess.PIPE
        )
        assert program.stdin is not None
        program.stdin.write(b"\0".join([authority, pair.certificate, pair.key]))
        program.stdin.close()
        try:
            await a.event(LinkUp)
            started = asyncio.get_running_loop().time()
            program.kill()
            await a.event(LinkDown)
            assert asyncio.get_running_loop().time() - started < 1.0
        finally:
            program.kill()
            program.wait()


PEER = """
import asyncio, sys
from gossipfl.net.identity import Identity
from tests.net.world import World
authority, certificate, key = sys.stdin.buffer.read().split(b"\\0")

async def main():
    world = World()
    world.add("b", dials_only=True)
    world.add("a")
    world.nodes["a"] = world.nodes["a"].model_copy(update={"address": sys.argv[1]})
    async with world.player("b", "a", identity=Identity("b", certificate, key, authority)).transport:
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_closing_takes_no_longer_than_it_may_when_a_peer_is_stuck(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    async with contextlib.AsyncExitStack() as stack:
        raw = await stack.enter_async_context(world.stranger("b", "a"))
        async with a.transport:
            await raw.greet()
            await raw.announce(raw.envelope(state_of(1)))
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 2.5


async def test_the_wait_between_attempts_grows_to_its_cap_and_is_drawn_evenly_below(world: World) -> None:
    world.add("a", dials_only=True)
    world.add("b")
    a = world.player("a", "b")
    dialer = Dialer(a.transport._context, a.transport._context.neighbors["b"], "127.0.0.1:1")
    for attempt in range(40):
        longest = min(QUICK.max_backoff_s, QUICK.backoff_s * 2**attempt)
        waits = [dialer._pause_s(Outcome.FAILED, attempt) for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest


async def test_a_node_that_is_not_there_does_no_harm(world: World) -> None:
    world.add("a")
    world.add("b")
    world.add("c")
    a, c = world.player("a", "b", "c"), world.player("c", "a")
    async with a.transport, c.transport:
        await c.event(LinkUp)
        a.post("b", state_of(1))
        a.post("c", state_of(2))
        assert (await c.event(Arrived)).state == state_of(2)
        assert await a.transport.flush(WAIT_S)


async def test_what_came_after_the_greeting_may_come_again_on_the_new_link_and_is_no_replay_there(world: World) -> None:
    world.add("a")
    world.add("b", dials_only=True)
    a = world.player("a", "b")
    async with a.transport, world.stranger("b", "a") as old, world.stranger("b", "a") as new:
        await old.greet()
        greeting = a.transport._context.greet("b")
        hello = Opening(replace(greeting, name="b"), b"", (0, 0))
        await new.call.write(pb.Frame(hello=hello_of(hello)).SerializeToString())
        told = await new.read()
        assert isinstance(told, pb.Hello)
        assert isinstance(await new.read(), pb.Ack)
        await old.send(state_of(1))
        assert (await a.event(Arrived)).state == state_of(1)
        assert told.seen_message.sequence == 0, "by what b has heard on the new link, nothing has come"
        await new.call.write(pb.Frame(ack=pb.Ack()).SerializeToString())
        await a.event(LinkUp)
        for seed in (1, 2, 2):
            await new.send(state_of(seed), mark=(1, seed))
        await new.send(state_of(3), mark=(1, 3))
        assert [(await a.event(Arrived)).state for _ in range(2)] == [state_of(2), state_of(3)]
        assert a.transport.counters.rejected == {"replay": 1}, "the second, sent twice on one link"
