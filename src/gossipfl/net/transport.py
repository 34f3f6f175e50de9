"""The network of one node, as its driver sees it.

    driver ── post(receiver, packet, …) ──> outbox ──> link ──> neighbor
    driver <── LinkUp | LinkDown | Arrived | Spoke | Undelivered ──── neighbor

One bidirectional stream for each neighbor, opened by whichever end can; nothing a peer does raises here.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Self

import grpc

from gossipfl.config.peers import NodeConfig
from gossipfl.core.codecs import Codec
from gossipfl.core.codecs.packing import Unpacker
from gossipfl.core.handshake import Greeting, HeadWatch, LedgerHead
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.net.context import Context, follows_none
from gossipfl.net.counters import Counters
from gossipfl.net.dialer import Dialer
from gossipfl.net.events import Arrived, Delivered, LinkDown, LinkUp, MembersChanged, NetEvent, Undelivered
from gossipfl.net.identity import Identity
from gossipfl.net.inbox import Checks
from gossipfl.net.limits import Limits
from gossipfl.net.mesh import Mesh
from gossipfl.net.neighbors import Neighbor
from gossipfl.net.outbox import Bundler, Enclosure, Outgoing
from gossipfl.net.passage import Passage, unnoticed
from gossipfl.net.pinning import Trust, get_acquainted
from gossipfl.net.reports import StatusSnapshot
from gossipfl.net.revocations import Revocations
from gossipfl.net.server import start_server
from gossipfl.net.signatures import signed_by
from gossipfl.net.tunnels import Detour
from gossipfl.protection.letters import Letter
from gossipfl.state import AdapterSpec, AdapterState

__all__ = ["Arrived", "Delivered", "LinkDown", "LinkUp", "MembersChanged", "NetEvent", "Transport", "Undelivered"]

logger = logging.getLogger(__name__)


class Transport:
    """Links to all neighbors for as long as it is entered.

    Args:
        identity: who this node is and whom it trusts.
        me: this node in peers.yaml; without an address it only dials.
        neighbors: whom it exchanges with.
        greet: what to say to a peer, as of now; asked for every Hello and every message.
        origin: what every node knows of every other before the first message.
        specs: of the states of peers that have ranks of their own.
        codec: as what states travel.
        limits: bounds.
        deliver: told what happens, on the event loop; must not block.
        status: the driver's figures for `gossipfl status`.
        members: all nodes of peers.yaml, who may ask; default: the neighbors.
        heads: ledger heads that neighbors showed in an earlier life of this node.
        keeps_books: messages come with all that ever crossed their edge, as push-sum's do.
        letters: under protection: sizes that letters may have, by kind; then no state is received.
        trust: in this node's life; default: a new one.
        relays: by neighbor that only dials out, where this node does so too: who carries bytes between the two.
        carries: this node does that for others.
        mesh: of dynamic membership.
        asked: takes a signed plan that a member brought; why it is not followed, empty: it is.
        passed: told of every message that came through, either way; on the event loop, must not block.

    Attributes:
        counters: figures by neighbor and in total.
    """

    def __init__(  # noqa: PLR0913  # the seam to the driver: every part by its name
        self,
        identity: Identity,
        me: NodeConfig,
        neighbors: Sequence[NodeConfig],
        *,
        greet: Callable[[str], Greeting],
        origin: AdapterState,
        codec: Codec,
        limits: Limits,
        deliver: Callable[[NetEvent], None],
        status: Callable[[], StatusSnapshot],
        members: Sequence[NodeConfig] = (),
        heads: Mapping[str, LedgerHead] | None = None,
        keeps_books: bool = False,
        specs: Mapping[str, AdapterSpec] | None = None,
        letters: Mapping[str, range] | None = None,
        trust: Trust | None = None,
        relays: Mapping[str, Sequence[NodeConfig]] | None = None,
        carries: bool = True,
        mesh: Mesh | None = None,
        asked: Callable[[bytes], str] = follows_none,
        passed: Callable[[Passage], None] = unnoticed,
    ) -> None:
        self.counters = Counters(tuple(node.name for node in neighbors))
        trust = trust or Trust(identity)
        self._members = {node.name: node for node in (*members, *neighbors) if node.name != me.name}
        self._neighbors = {node.name: Neighbor(node, deliver, limits) for node in neighbors}
        self._context = Context(
            identity=identity,
            trust=trust,
            me=me,
            members=self._members,
            neighbors=self._neighbors,
            checks=Checks(
                me.name,
                origin.spec,
                codec,
                Unpacker(origin),
                limits.max_norm,
                signed_by(identity, trust),
                heads=HeadWatch(heads),
                keeps_books=keeps_books,
                specs=specs or {},
                letters=letters or {},
            ),
            counters=self.counters,
            limits=limits,
            greet=greet,
            deliver=deliver,
            status=status,
            carries=carries,
            mesh=mesh,
            asked=asked,
            passed=passed,
        )
        self._detour = Detour(self._context, relays or {})
        self._entrances: Mapping[str, str] = {}
        self._closing = contextlib.AsyncExitStack()
        self._bundler = Bundler(codec.name)
        self._layout = bytes.fromhex(origin.spec.digest)
        self._enclosures: dict[str, Enclosure] = {}
        self._sequence = 0
        self._server: grpc.aio.Server | None = None
        self._dialing: dict[str, asyncio.Task[None]] = {}
        self._in_background: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listens and begins to dial.

        Raises:
            NetworkError: the node's own address cannot be used.
        """
        bind = self._context.me.listen or self._context.me.address
        self._entrances, inner = await self._closing.enter_async_context(self._detour)
        binds = [address for address in (bind, inner) if address is not None]
        if binds:
            self._server = await start_server(self._context, binds)
        for neighbor in self._neighbors.values():
            self._dial(neighbor)
        for relay, offering in self._detour.exits():
            self._go_on(offering, f"offer at {relay}")
        if self._context.mesh is not None:
            known = {name: node.address for name, node in self._members.items() if node.address}
            self._go_on(self._context.mesh.run(known), "membership")
        for node in self._context.pinned_strangers():
            meeting = get_acquainted(self._context.trust, node.name, node.address or "", self._context.limits)
            self._go_on(meeting, f"certificate of {node.name}")
        return self

    def _dial(self, neighbor: Neighbor) -> None:
        address = neighbor.node.address or self._entrances.get(neighbor.name)
        if address is not None:
            dialer = Dialer(self._context, neighbor, address)
            self._dialing[neighbor.name] = self._go_on(dialer.run(), f"dial {neighbor.name}")

    def _go_on(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_say_failure)
        task.add_done_callback(self._in_background.discard)
        self._in_background.add(task)
        return task

    def rewire(
        self, neighbors: Sequence[NodeConfig], members: Sequence[NodeConfig], *, greet_anew: bool = False
    ) -> None:
        """Other neighbors from now on, and others who may ask; the links of those that stay are left alone.

        Args:
            greet_anew: this node's greeting is another: every link begins anew with it.
        """
        wanted, me = {node.name: node for node in neighbors}, self._context.me.name
        self._members.clear()
        self._members.update({node.name: node for node in (*members, *neighbors) if node.name != me})
        if greet_anew:
            for neighbor in self._neighbors.values():
                neighbor.shut_out()
        for name in [name for name, known in self._neighbors.items() if known.node != wanted.get(name)]:
            (gone := self._neighbors.pop(name)).dismiss()
            gone.intake.close()
            if (dialing := self._dialing.pop(name, None)) is not None:
                dialing.cancel()
        for name in wanted.keys() - self._neighbors.keys():
            self.counters.know(name)
            self._neighbors[name] = Neighbor(wanted[name], self._context.deliver, self._context.limits)
            self._dial(self._neighbors[name])

    def revoke(self, revoked: Revocations) -> None:
        """Believes a newer list: all links begin anew, so that every certificate is looked at, but of those in it."""
        if self._context.trust.revoke(revoked):
            for neighbor in self._neighbors.values():
                neighbor.shut_out()
        if self._context.mesh is not None:
            self._context.mesh.sift()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the messages on their way, takes leave, closes; within `close_s`, thrice at most, and a little."""
        for neighbor in self._neighbors.values():
            neighbor.intake.close()
        if self._context.mesh is not None:
            await self._context.mesh.leave()
        links = [link for neighbor in self._context.neighbors.values() for link in neighbor.links]
        for link in links:
            link.leave()
        if links:
            ended = [asyncio.create_task(link.wait_ended()) for link in links]
            _, late = await asyncio.wait(ended, timeout=self._context.limits.close_s)
            for task in late:
                task.cancel()
        for task in self._in_background:
            task.cancel()
        await asyncio.gather(*self._in_background, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(grace=self._context.limits.close_s / 2)
        await self._closing.aclose()

    def post(
        self,
        receiver: str,
        packet: Packet[AdapterState],
        header: Header,
        ledger_head: LedgerHead | None,
        *,
        replaceable: bool = True,
        crossing: Crossing[AdapterState] | None = None,
    ) -> int:
        """Queues a state for a neighbor, in place of replaceable ones that have not left; its sequence number.

        A neighbor that is down gets it when it is back. A packet posted to several neighbors in a row is hashed once.
        """
        self._sequence += 1
        bundle = self._bundler.bundle(packet)
        message = Outgoing(self._sequence, bundle, header, ledger_head, replaceable, crossing=crossing)
        if receiver in self._neighbors:
            # else it was one when the protocol asked for this, and is none any more
            self._neighbors[receiver].post(message)
        return self._sequence

    def post_letter(self, letter: Letter, ledger_head: LedgerHead | None) -> int:
        """Queues a letter; one that was posted last to its receiver is not sent again while it is on its way."""
        known = self._enclosures.get(letter.to)
        if known is None or known.letter is not letter:
            known = self._enclosures[letter.to] = Enclosure(letter, self._layout)
        self._sequence += 1
        message = Outgoing(self._sequence, known, letter.header, ledger_head, replaceable=False)
        self._context.neighbors[letter.to].post(message)
        return self._sequence

    def handled(self, sender: str) -> None:
        """The driver is done with an `Arrived` or `Spoke` of this sender: told so, it is read on."""
        if (neighbor := self._neighbors.get(sender)) is not None:
            neighbor.intake.handled()

    def say(self, paper: bytes, *, to: Collection[str] | None = None) -> None:
        """Passes a signed paper on to neighbors that are up; default: to all."""
        for name, neighbor in self._neighbors.items():
            if to is None or name in to:
                neighbor.say(paper)

    async def flush(self, deadline_s: float) -> bool:
        """Waits until every message for a neighbor that is up has left; whether that was so in time."""
        waiting = [neighbor.outbox.flushed() for neighbor in self._context.neighbors.values() if neighbor.up]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await asyncio.gather(*waiting)
                return True
        return False

    def snapshot(self) -> StatusSnapshot:
        """What members are told who ask for details."""
        return self._context.snapshot(details=True)

    def heads(self) -> dict[str, LedgerHead]:
        """The highest ledger head of every neighbor, to be kept for the next life."""
        return self._context.checks.heads.heads()


def _say_failure(task: asyncio.Task[None]) -> None:
    """Work in the background ends well or by cancellation: anything else is a bug of ours and must not pass."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("%s failed", task.get_name(), exc_info=error)
