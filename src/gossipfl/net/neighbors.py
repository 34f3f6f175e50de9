"""What a node keeps for each neighbor: the outbox, and the one link in use.

When both ends dial, both links come up, and both ends decide alike: the one dialed by the lower name stays. Otherwise a
newer link takes the place of an older one, whose end has not been noticed yet.

A link that takes another's place carries nothing before the other has ended: so messages arrive in the order in which
they were sent, whichever link they take. A link to an earlier life, or one that the peer itself has given up since it
dials anew, is broken off; what it did not deliver goes with the new one. What the peer got after its greeting may come
again, and is dropped there: twice is harmless, never is not.
"""

import asyncio
from collections.abc import Callable

from gossipfl.config.peers import NodeConfig
from gossipfl.core.handshake import Greeting
from gossipfl.errors import HandshakeError
from gossipfl.net.events import LinkDown, LinkUp, NetEvent
from gossipfl.net.handshake import DUPLICATE
from gossipfl.net.intake import Intake
from gossipfl.net.limits import STREAMS_PER_PEER, Limits
from gossipfl.net.links import Link
from gossipfl.net.outbox import Outbox, Outgoing


class Neighbor:
    """One neighbor.

    Attributes:
        node: from peers.yaml.
        outbox: what waits for it.
        intake: how it is read.
        greeting: what it said last; None before.
        streams: links it has now, in whatever state.
    """

    def __init__(self, node: NodeConfig, deliver: Callable[[NetEvent], None], limits: Limits) -> None:
        self.node = node
        self.intake = Intake(limits)
        self.outbox = Outbox()
        self.greeting: Greeting | None = None
        self.streams = 0
        self._deliver = deliver
        self._active: Link | None = None
        self._links: set[Link] = set()
        self._down = asyncio.Event()
        self._down.set()

    @property
    def name(self) -> str:
        """The neighbor's."""
        return self.node.name

    @property
    def up(self) -> bool:
        """There is a link in use."""
        return self._active is not None

    @property
    def links(self) -> tuple[Link, ...]:
        """The one in use and those that are being completed."""
        return tuple(self._links)

    def post(self, message: Outgoing) -> None:
        """Queues a message; it waits for a link when there is none."""
        self.outbox.put(message)
        if self._active is not None:
            self._active.wake()

    def say(self, paper: bytes) -> None:
        """Sends a signed paper, if there is a link."""
        if self._active is not None:
            self._active.say(paper)

    async def wait_down(self) -> None:
        """Returns when there is no link in use."""
        await self._down.wait()

    def check_stays(self, dialed_by: str, incarnation: int) -> None:
        """Returns if a new link would be used.

        Raises:
            HandshakeError: reason duplicate.
        """
        if self._active is not None and not self._takes_over(self._active, dialed_by, incarnation):
            raise HandshakeError(f"a link with {self.name!r} is up already", peer=self.name, reason=DUPLICATE)

    def admit_stream(self) -> bool:
        """Whether the neighbor may open another stream; if so it counts."""
        if self.streams >= STREAMS_PER_PEER:
            return False
        self.streams += 1
        return True

    def dismiss(self) -> None:
        """It is a neighbor no longer: what is on its way is completed, nothing else."""
        for link in self._links:
            link.leave()

    def shut_out(self) -> None:
        """It is not believed any more: its links end now."""
        for link in self._links:
            link.break_off()

    async def carry(self, link: Link) -> str:
        """Runs a link to its end; why it ended. It is used unless a better one is up."""
        earlier = self.links
        self._links.add(link)
        try:
            opens = self._offer(link)
            if self._active is link:
                await asyncio.gather(*(each.wait_ended() for each in earlier))
            if opens:
                self._open(link)
            return await link.run()
        finally:
            link.close()
            self._links.discard(link)
            self._gone(link)

    def _offer(self, link: Link) -> bool:
        """Decides between a new link and the one in use; whether the new one begins something new for the driver."""
        greeting, old = link.theirs.greeting, self._active
        if old is not None and not self._takes_over(old, link.wiring.dialed_by, greeting.incarnation):
            link.retire()
            return False
        self._active = link
        self._down.clear()
        new_life = self.greeting is not None and self.greeting.incarnation != greeting.incarnation
        self.greeting = greeting
        if old is None:
            return True
        # who dials has no link in use: the old one is dead, and only this end has not noticed
        dead = new_life or old.wiring.dialed_by == link.wiring.dialed_by
        if dead:
            old.break_off()
            self._deliver(LinkDown(self.name))
        else:
            old.retire()
        return dead

    def _open(self, link: Link) -> None:
        self.outbox.reconnected(link.theirs.seen)
        self._deliver(LinkUp(self.name, link.theirs.greeting))

    def _takes_over(self, old: Link, dialed_by: str, incarnation: int) -> bool:
        lower_is_up = old.wiring.dialed_by < dialed_by
        return not lower_is_up or incarnation > old.theirs.greeting.incarnation

    def _gone(self, link: Link) -> None:
        if self._active is link:
            self._active = None
            self._down.set()
            self._deliver(LinkDown(self.name))
