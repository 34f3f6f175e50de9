"""pairwise: two neighbors meet, and both take the average of their states.

    i asks j:    x̂_i                                               j, a random neighbor of i's, is any other round's
    j answers:   x̂_j,   x_j ← x_j + ½ (x̂_i − x̂_j)
    i hears it:          x_i ← x_i − ½ (x̂_i − x̂_j)                 the very same numbers

What one gains is what the other loses, to the last bit, so the network's sum is kept. An answer that is lost would
break that: so j keeps, for each neighbor, the sum of all it ever gave, i the sum of all it booked of j's, and each
question carries a hash of the latter. Where that is not j's, j answers with the whole sum and exchanges nothing: both
ends are even again, whatever got lost and whoever goes on from an old checkpoint, see `core.mass`. So an exchange
happens at both ends or at neither.

Concurrency. Nobody waits for anybody: a question is answered at once, or refused at once. A node has one question of
its own under way and meanwhile answers one other, no more: then its new state is still an average of states, since half
of what it asked with is still there. Of two that ask each other the question of the lower name is answered. So nothing
can wait in a circle. A refused node asks again, `TRIES` times in a round, whomever it draws; a round in which it met
nobody does not count. A question without answer is given up when the next phase is over, or at the deadline.

How it settles and ends: `pace`. Neighbors hear each other where the graph is undirected; schedules that change leave no
choice of whom to ask, and are refused.

Sources: Boyd, Ghosh, Prabhakar & Shah (2006), Randomized gossip algorithms; the sums: `core.mass`.
"""

from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.core.events import Received, Report, Send, Trained
from gossipfl.core.mass import Flow, Mass, first_mass
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.core.protocol import Parts, Schedule
from gossipfl.core.protocols.neighborhood import Neighborhood
from gossipfl.core.protocols.own import OwnState
from gossipfl.core.protocols.pace import OwnPace
from gossipfl.core.rng import generator
from gossipfl.core.vector import P
from gossipfl.core.wide import Wide
from gossipfl.errors import TopologyError


@dataclass(slots=True)
class _Question(Generic[P]):
    """The one under way.

    Attributes:
        partner: who was asked.
        number: of the question.
        seen: the state it was asked with.
        answered: another's question was, meanwhile.
    """

    partner: str
    number: int
    seen: P
    answered: bool = False


TRIES = 4
"""Questions in one round, until one is answered."""


class Meeting(Generic[P]):
    """An exchange of two: pushed and heard count answers, and sum what they gave."""

    def __init__(self, parts: Parts[P], own: OwnState[P], neighbors: Neighborhood) -> None:
        self._parts = parts
        self._own = own
        self._neighbors = neighbors
        self._packs = {name: parts.packer() for name in neighbors.names}
        self._question: _Question[P] | None = None
        self._numbers = self._tries = 0
        self._met: set[str] = set()
        self._met_in: dict[str, int] = {}
        if parts.snapshot.mass is None:
            self._book(first_mass(parts.snapshot.state))

    @property
    def may_train(self) -> bool:
        """Always."""
        return True

    @property
    def hears_all(self) -> bool:
        """One in each round."""
        return False

    def is_complete(self, awaited: list[str]) -> bool:  # noqa: ARG002  # only the partner matters
        """Whether the own question is answered or refused."""
        return self._question is None

    def take(self, event: Received[P], header: Header) -> list[Send[P]]:
        """A question is answered; an answer is booked."""
        self._met_in[event.sender] = self._own.snapshot.round
        again: list[Send[P]] = []
        if event.header.answers and self._hear(event) and self._tries < TRIES:
            again = self._ask(header)
        return [*([self._answer(event, header)] if event.header.asks else []), *again]

    def train(self, event: Trained[P]) -> Report:
        """Adds a training phase."""
        self._own.absorb(event)
        self._book(self._mass)
        return self.mix()

    def mix(self) -> Report:
        """A round is over; what was exchanged in it is in the state already."""
        self._own.book(self._mass, self._own.snapshot.state, rounds=1)
        now = self._own.snapshot
        ages = {name: now.round - 1 - self._met_in.get(name, 0) for name in self._neighbors.names}
        self._met = set()
        # in the network's sum, which exchanges keep, every step of every node counts once
        return Report(now.round, now.phase, now.step, {self._parts.name: 1.0}, ages, ())

    @property
    def has_met(self) -> bool:
        """Whether anything was exchanged since the last round."""
        return bool(self._met)

    def publish(self, header: Header) -> list[Send[P]]:
        """A question to a random neighbor whose link is not lost; of a settled node a last word to all, once."""
        self._question, self._tries = None, 0
        if not header.settled:
            return self._ask(header)
        return [self._send(name, self._packed(name), header) for name in self._neighbors.audience((), settled=True)]

    def _ask(self, header: Header) -> list[Send[P]]:
        partner = self._partner()
        if partner is None:
            return []
        packet = self._packed(partner)
        self._numbers, self._tries = self._numbers + 1, self._tries + 1
        self._question = _Question(partner, self._numbers, packet.seen)
        asking = replace(header, asks=self._numbers, booked=self._mass.booked(partner).mark)
        return [self._send(partner, packet, asking)]

    def welcome(self, name: str, header: Header) -> list[Send[P]]:  # noqa: ARG002  # the next question makes up for a lost one
        """Nothing."""
        return []

    # ---- answers ----

    def adopt(self) -> Report | None:
        """Never: who is up does not change here, see `core.topology.live`."""
        return None

    def rewire(self, schedule: Schedule) -> None:  # noqa: ARG002  # none
        """Never: books of what crossed an edge are kept for both of its ends."""
        raise AssertionError("refused by core.topology.live")

    def _answer(self, event: Received[P], header: Header) -> Send[P]:
        name, given = event.sender, self._mass.given(event.sender)
        packet, header = self._packed(name), replace(header, answers=event.header.asks)
        if event.header.booked != given.mark:
            return self._send(name, packet, header, Crossing(given, None))
        if self._is_busy(name):
            return self._send(name, packet, header)
        share = self._share(event.state, packet.seen)
        self._give(name, Flow(given.weight + 1, given.total.moved(share, share.zero())))
        self._met.add(name)
        return self._send(name, packet, header)

    def _is_busy(self, name: str) -> bool:
        """Whether a question is refused; if it is not, it is the last one beside the own."""
        question = self._question
        if question is None:
            return False
        if question.partner == name:
            if self._parts.name < name:
                return True
            # of two that ask each other the higher name's question will be refused
            self._question = None
            return False
        busy, question.answered = question.answered, True
        return busy

    def _hear(self, event: Received[P]) -> bool:
        """Books an answer; whether the own question was refused, or answered by books put right, and nobody was met."""
        name, heard, question = event.sender, self._mass.booked(event.sender), self._question
        if event.flow is not None:
            # whatever was asked: the sum of all that was given
            self._get(name, event.flow)
        if question is None or (question.partner, question.number) != (name, event.header.answers):
            return False
        self._question = None
        # one answer more than before: it is no refusal
        if event.flow is not None or event.header.push_weight != heard.weight + 1:
            return not self._met
        share = self._share(question.seen, event.state)
        self._get(name, Flow(heard.weight + 1, heard.total.moved(share, share.zero())))
        self._met.add(name)
        return False

    def _share(self, asked: P, answered: P) -> Wide[P]:
        """What the one who answers gains and the one who asked loses; equal at both ends."""
        half = 0.5 * self._parts.gossip.rate
        return Wide.nothing(asked).plus(half, asked).plus(-half, answered)

    # ---- books ----

    @property
    def _mass(self) -> Mass[P]:
        return self._own.books

    def _book(self, mass: Mass[P]) -> None:
        self._own.book(mass, mass.sum.over(1.0))

    def _give(self, name: str, flow: Flow[P]) -> None:
        mass = self._mass
        left = mass.sum.moved(flow.total, self._mass.given(name).total)
        self._book(Mass(1.0, left, {**mass.pushed, name: flow}, mass.heard))

    def _get(self, name: str, flow: Flow[P]) -> None:
        mass = self._mass
        gained = mass.sum.moved(self._mass.booked(name).total, flow.total)
        self._book(Mass(1.0, gained, mass.pushed, {**mass.heard, name: flow}))

    # ---- messages ----

    def _partner(self) -> str | None:
        up = [name for name in self._neighbors.names if not self._neighbors.is_down(name)]
        if not up:
            return None
        rng = generator(self._parts.seed, node=self._parts.name, purpose="pairwise", step=self._numbers)
        return up[int(rng.integers(len(up)))]

    def _packed(self, name: str) -> Packet[P]:
        # a stream of differences for each neighbor: none hears what the others hear
        return self._own.packed_by(self._packs[name])

    def _send(self, name: str, packet: Packet[P], header: Header, crossing: Crossing[P] | None = None) -> Send[P]:
        header = replace(header, push_weight=self._mass.given(name).weight)
        return Send(name, packet, header, replaceable=False, crossing=crossing)


def build(parts: Parts[P]) -> OwnPace[P]:
    """The protocol for one node.

    Raises:
        TopologyError: the schedule is not static, or a neighbor is not heard that hears this node.
    """
    if parts.schedule.period != 1:
        raise TopologyError(
            "topology.schedule: pairwise nodes ask a random neighbor in each round of their own: take static, or "
            "gossip.protocol sync or push_sum"
        )
    row = parts.schedule.row(parts.name, 0)
    one_way = sorted({*row.receivers} ^ (row.weights.keys() - {parts.name}))
    if one_way:
        raise TopologyError(
            f"topology.kind: pairwise needs edges both ways, and {parts.name!r} has one of one way with {one_way[0]!r}"
        )
    own = OwnState(parts)
    neighbors = Neighborhood(parts.schedule.neighbors(parts.name), parts.gossip.linger_s)
    return OwnPace(parts, own, neighbors, Meeting(parts, own, neighbors))
