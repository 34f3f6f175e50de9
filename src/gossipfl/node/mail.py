"""A guard's letters in a running node: what takes long is done in a thread, one after the other.

Send ── guard.publish ──> jobs ──┐
                                 ├─> thread ─> Letter ─> transport
Delivered ── guard.take ──> jobs ┘
                 └─> letters, events
"""

import asyncio
from collections.abc import Callable, Sequence

from gossipfl.core.events import Heard, Send, Summed
from gossipfl.errors import MessageError
from gossipfl.net.transport import Delivered, Transport
from gossipfl.node.parts import NodeParts
from gossipfl.protection.letters import Guard, Job, Letter
from gossipfl.state import AdapterState

Jobs = Sequence[Job[AdapterState]]


class Mail:
    """Between the protocol and the transport of a node under protection; used on the event loop only.

    Args:
        guard: of this life.
        post: sends a letter.
        tell: tells the protocol an event.
        reject: told of letters that make no sense.
    """

    def __init__(
        self,
        guard: Guard[AdapterState],
        *,
        post: Callable[[Letter], object],
        tell: Callable[[Heard | Summed[AdapterState]], None],
        reject: Callable[[MessageError], None],
    ) -> None:
        self._guard = guard
        self._post = post
        self._tell = tell
        self._reject = reject
        self._jobs: asyncio.Queue[Jobs] = asyncio.Queue()
        self._at_work = asyncio.Lock()

    def up(self, name: str) -> None:
        """A link is open."""
        for letter in self._guard.up(name):
            self._post(letter)

    async def publish(self, sends: Sequence[Send[AdapterState]], log: Callable[[], object]) -> None:
        """Makes letters of publications; returns when all that can be sent is.

        Args:
            log: writes down what is about to leave; done first, in the same thread: a thread's turn costs more than
                the masks of a small adapter.
        """
        # what follows from letters was planned before: a publication that is sent again must have been made
        jobs: list[Job[AdapterState]] = []
        while not self._jobs.empty():
            jobs += self._jobs.get_nowait()
        jobs += [job for send in sends for job in self._guard.publish(send)]
        await self._do(jobs, log)

    def take(self, delivered: Delivered, present: int) -> None:
        """Takes a letter.

        Args:
            present: round that the node is in.
        """
        try:
            taken = self._guard.take(delivered.sender, delivered.letter, present)
        except MessageError as error:
            self._reject(error)
            return
        for letter in taken.letters:
            self._post(letter)
        for event in taken.events:
            self._tell(event)
        if taken.jobs:
            self._jobs.put_nowait(taken.jobs)

    async def work(self) -> None:
        """Does what follows from letters, for ever."""
        while True:
            await self._do(await self._jobs.get())

    async def _do(self, jobs: Jobs, first: Callable[[], object] = lambda: None) -> None:
        # one after the other, in the order in which they were planned
        async with self._at_work:
            made = await asyncio.to_thread(_all_of, first, jobs)
        for each in made:
            if isinstance(each, Letter):
                self._post(each)
            elif each is not None:
                self._tell(each)


def _all_of(first: Callable[[], object], jobs: Jobs) -> list[Letter | Summed[AdapterState] | None]:
    first()
    return [job() for job in jobs]


def mail_of(
    parts: NodeParts, transport: Transport, tell: Callable[[Heard | Summed[AdapterState]], None]
) -> Mail | None:
    """A node's; None where states travel as they are."""
    if parts.guard is None:
        return None
    return Mail(
        parts.guard,
        post=lambda letter: transport.post_letter(letter, parts.ledger_head()),
        tell=tell,
        reject=transport.counters.reject,
    )
