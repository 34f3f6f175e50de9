"""Between protocols and lines: publications travel as they are, or their nodes' guards make letters of them.

Keys are agreed at once and for nothing when a link opens: what is simulated is the averaging.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from gossipfl.core.events import Event, Heard, Received, Send
from gossipfl.core.validation import SPOILED
from gossipfl.core.vector import P
from gossipfl.errors import MessageError
from gossipfl.protection.letters import AGREEING, Guard, Job, Letter, Taken
from gossipfl.sim.attackers import Attackers
from gossipfl.sim.body import Body
from gossipfl.sim.happenings import Message
from gossipfl.sim.network import Network


class Post(Generic[P]):
    """Of all nodes; it keeps nothing.

    Args:
        guard, attackers: see `WorldParts`.
        handle: tells a node an event.
    """

    def __init__(
        self,
        guard: Callable[[str, int], Guard[P]] | None,
        attackers: Attackers[P] | None,
        bodies: Mapping[str, Body[P]],
        network: Network[P],
        handle: Callable[[str, Body[P], Event[P]], None],
    ) -> None:
        self._guard = guard
        self._attackers = attackers
        self._bodies = bodies
        self._network = network
        self._handle = handle

    def begin(self, name: str) -> None:
        """A node begins a life: it has other keys than before."""
        body = self._bodies[name]
        body.guard = None if self._guard is None else self._guard(name, body.life)

    def introduce(self, name: str, others: Sequence[str]) -> None:
        """Links are open between a node and others: both ends tell their keys."""
        for other in others:
            self._introduce(name, other)
            self._introduce(other, name)

    def _introduce(self, name: str, to: str) -> None:
        guard = self._bodies[name].guard
        if guard is not None:
            self._agree(name, guard.up(to))

    def send(self, name: str, send: Send[P]) -> None:
        """Puts a publication on its line, or what an attack or its guard makes of it."""
        if self._attackers is not None:
            send = self._attackers.disguised(name, send, self._bodies)
        body = self._bodies[name]
        if body.guard is None:
            self._network.post(name, send, body.life)
        else:
            self._work(name, body.guard.publish(send))

    def arrive(self, message: Message[P]) -> None:
        """Tells a node what has arrived."""
        name, content = message.receiver, message.content
        body = self._bodies[name]
        if isinstance(content, Letter):
            taken = self._take(name, message.sender, content)
            self._follow(name, taken)
        else:
            flow = None if message.crossing is None else message.crossing.flow
            self._handle(name, body, Received(message.sender, content.seen, message.header, flow))

    def refuse(self, message: Message[P], reason: str) -> None:
        """Counts a message that is dropped; who sent numbers that are no state has spoken."""
        body = self._bodies[message.receiver]
        body.rejected[reason] += 1
        if reason in SPOILED:
            self._handle(message.receiver, body, Heard(message.sender, message.header, contributes=False))

    def _agree(self, sender: str, letters: Sequence[Letter]) -> None:
        """Hands letters over, and those that follow from them."""
        ways = deque((sender, letter) for letter in letters)
        while ways:
            sender, letter = ways.popleft()
            if self._bodies[letter.to].up:
                taken = self._take(letter.to, sender, letter)
                ways.extend((letter.to, each) for each in taken.letters)
                self._work(letter.to, taken.jobs)

    def _take(self, name: str, sender: str, letter: Letter) -> Taken[P]:
        body = self._bodies[name]
        if body.guard is None:
            raise AssertionError("a letter for a node without guard")
        try:
            return body.guard.take(sender, letter, body.snapshot.round)
        except MessageError as error:
            body.rejected[error.reason] += 1
            return Taken()

    def _follow(self, name: str, taken: Taken[P]) -> None:
        self._agree(name, [letter for letter in taken.letters if letter.kind in AGREEING])
        self._mail(name, [letter for letter in taken.letters if letter.kind not in AGREEING])
        for event in taken.events:
            self._handle(name, self._bodies[name], event)
        self._work(name, taken.jobs)

    def _work(self, name: str, jobs: Sequence[Job[P]]) -> None:
        for job in jobs:
            made = job()
            if isinstance(made, Letter):
                self._mail(name, [made])
            elif made is not None:
                self._handle(name, self._bodies[name], made)

    def _mail(self, name: str, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self._network.post_letter(name, letter, self._bodies[name].life)
