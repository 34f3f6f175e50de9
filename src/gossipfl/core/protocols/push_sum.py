"""push_sum: nodes pass on parts of a sum and of a weight; what they hold of the one over the other goes to the mean.

    x = s / w                w = 1 at the start
    train:                   s ← s + (after − before), as it is: w·(after − before) would favor nodes of large w
    push to k neighbors:     share = w / (k + 1);  to each  (share · x̂, share),  s ← s − k·share·x̂,  w ← w − k·share
    receive:                 s ← s + what is new in the neighbor's total,  w alike

x̂ is what the codec leaves of x: exactly what is given is taken out of s, what it leaves away stays here. So Σ s is the
network's sum and Σ w the number of nodes, with what is on its way counted, whatever the out-degrees are, whatever gets
lost, comes late, twice or out of order, and whoever starts anew from an old checkpoint, see `core.mass`. Any schedule
goes with it, directed ones too: a sender need not know who hears it. It does not divide by the weights of the schedule.

Nobody pushes or trains with w < 0.1 (a neighbor lost its memory, or what comes is late): an increment would count ten
times in x. Such a node only repeats its totals, and goes on when weight arrives. When none has come for `deadline_s`,
it trains all the same, its x moved by its own increments alone.

To a neighbor whose link is lost nothing is pushed, nor to one that was pushed to twice since it was last heard, if it
ever sends to this node at all: what it would be given would be missing while it is slow, and for good if it never
comes. Its totals are repeated to it. So a slow neighbor holds back at most what two shares are.

How it settles and ends: `pace`.

Sources: Kempe, Dobra & Gehrke (2003); Assran et al. (2019), Stochastic gradient push, arXiv 1811.10792; `core.mass`.
"""

from dataclasses import replace
from typing import Generic

from gossipfl.core.events import Received, Report, Send, Trained
from gossipfl.core.mass import Mass, first_mass, on_grid
from gossipfl.core.messages import Crossing, Header, Packet
from gossipfl.core.protocol import Parts, Row, Schedule
from gossipfl.core.protocols.neighborhood import Neighborhood, senders_to
from gossipfl.core.protocols.own import OwnState
from gossipfl.core.protocols.pace import OwnPace
from gossipfl.core.vector import P

FLOOR = 0.1
"""Weight below which nothing is pushed or trained."""
UNANSWERED = 2
"""Shares a neighbor gets since it was last heard."""


class Pushing(Generic[P]):
    """An exchange: books of sums that never start anew."""

    def __init__(self, parts: Parts[P], own: OwnState[P], neighbors: Neighborhood) -> None:
        self._parts = parts
        self._own = own
        self._neighbors = neighbors
        self._book(parts.snapshot.mass or first_mass(parts.snapshot.state))
        # in a new life the first message on an edge that was used before brings its total
        self._sent: dict[str, Send[P]] = {}
        self._fresh: set[str] = set()
        self._heard_in: dict[str, int] = {}
        self._unanswered: dict[str, int] = {}
        self._senders = senders_to(parts.name, parts.schedule)

    @property
    def may_train(self) -> bool:
        """Whether an increment would count in x as little more than once."""
        return self._mass.weight >= FLOOR

    @property
    def hears_all(self) -> bool:
        """Where the schedule is static."""
        return self._parts.schedule.period == 1

    def take(self, event: Received[P], header: Header) -> list[Send[P]]:  # noqa: ARG002  # nothing to say at once
        """Books a neighbor's newest total."""
        # a message without totals is none of this protocol's
        if event.flow is None:
            return []
        self._book(self._mass.received(event.sender, event.flow))
        self._fresh.add(event.sender)
        self._unanswered[event.sender] = 0
        self._heard_in[event.sender] = self._own.snapshot.round
        return []

    @property
    def has_met(self) -> bool:
        """Always: a round mixes what there is."""
        return True

    def is_complete(self, awaited: list[str]) -> bool:
        """Whether as many as send in a round have been heard since the own last publication."""
        senders = len(self._row.weights) - 1
        return len(self._fresh.intersection(awaited)) >= min(senders, len(awaited))

    def train(self, event: Trained[P]) -> Report:
        """Adds a training phase to the sum."""
        self._own.absorb(event)
        return self.mix()

    def mix(self) -> Report:
        """The vector by what has been heard."""
        now, mass = self._own.snapshot, self._mass
        state = mass.sum.over(mass.weight) if self.may_train else now.state
        self._own.book(mass, state, rounds=1)
        ages = {name: now.round - self._heard_in.get(name, 0) for name in self._row.weights if name != self._me}
        return Report(
            round=now.round + 1,
            phase=now.phase,
            step=now.step,
            # in the network's sum, which is what all go to, every step of every node counts once
            weights={self._me: 1.0},
            staleness=ages,
            absent=tuple(name for name in ages if name not in self._fresh),
        )

    def publish(self, header: Header) -> list[Send[P]]:
        """A share to each neighbor of this round that can be reached; the totals once more to those that get none."""
        self._fresh.clear()
        up = tuple(name for name in self._row.receivers if self._gives_to(name))
        packet = self._own.packed()
        if up and self.may_train:
            share = on_grid(self._mass.weight * self._parts.gossip.rate / (len(up) + 1))
            self._book(self._mass.pushes(up, share, packet.seen))
            for name in up:
                self._unanswered[name] = self._unanswered.get(name, 0) + 1
        receivers = self._neighbors.audience(self._row.receivers, settled=header.settled)
        return [self._send(name, packet, header) for name in receivers]

    def welcome(self, name: str, header: Header) -> list[Send[P]]:  # noqa: ARG002  # only totals
        """The newest message once more, with its total: what was sent before may be lost."""
        sent = self._sent.get(name)
        if sent is None or sent.crossing is None:
            return []
        return [replace(sent, crossing=replace(sent.crossing, after=None))]

    def adopt(self) -> Report | None:
        """Never: who is up does not change here, see `core.topology.live`."""
        return None

    def rewire(self, schedule: Schedule) -> None:  # noqa: ARG002  # none
        """Never: books of what crossed an edge are kept for both of its ends."""
        raise AssertionError("refused by core.topology.live")

    def _gives_to(self, name: str) -> bool:
        if self._neighbors.is_down(name):
            return False
        return name not in self._senders or self._unanswered.get(name, 0) < UNANSWERED

    @property
    def _me(self) -> str:
        return self._parts.name

    @property
    def _mass(self) -> Mass[P]:
        return self._own.books

    def _book(self, mass: Mass[P]) -> None:
        self._own.book(mass, self._own.snapshot.state)

    @property
    def _row(self) -> Row:
        return self._parts.schedule.row(self._me, self._own.snapshot.round)

    def _send(self, name: str, packet: Packet[P], said: Header) -> Send[P]:
        flow = self._mass.given(name)
        # spelled out: `replace` takes thrice as long
        header = Header(said.round, said.step, said.done, said.settled, flow.weight, said.settle_rounds)
        self._sent[name] = Send(name, packet, header, crossing=Crossing(flow, self._after(name)))
        return self._sent[name]

    def _after(self, name: str) -> int | None:
        if name in self._sent:
            return self._sent[name].packet.number
        mass = self._parts.snapshot.mass
        return None if mass is not None and name in mass.pushed else 0


def build(parts: Parts[P]) -> OwnPace[P]:
    """The protocol for one node."""
    own = OwnState(parts)
    neighbors = Neighborhood(parts.schedule.neighbors(parts.name), parts.gossip.linger_s)
    return OwnPace(parts, own, neighbors, Pushing(parts, own, neighbors))
