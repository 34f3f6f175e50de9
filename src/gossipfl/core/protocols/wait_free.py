"""wait_free: publish after each training phase, mix the newest of each neighbor, never wait.

    train ─> mix the early ─> state += increment ─> mix the late ─> Train | Checkpoint | Send ─> …     then settle

    weight of neighbor j = W_ij · discount^age      age: own mixings since its contribution could first be mixed
    weight of own state  = 1 − all others           a neighbor older than max_staleness is absent

Early and late. Like is mixed with like: a contribution that lacks the training its receiver has just done is mixed
into the state before that training, one with as many steps into the state after it. Part of all training that reached
the mean (constant increments, 30 phases, equal speeds, delays of .05 to 1 phase): mixing always after the increment
.53–.56 on a ring of 6 and .36–.45 on the complete graph, always before it 1.01–1.41 and 1.01–1.57, like with like
.94–1.00 and .92–1.00.

Mixing that holds neighbors against each other needs them all at once: a clipped step before the training and another
after it would be longer than the weight times the radius, and halves of a neighborhood are too few to outvote anybody.
There the early ones are moved as the own training has moved the own state, and all are mixed after it. Of a weighted
mean that is the same.

Faster nodes. The same measure for discounts 0 / 0.5 / 1, delay .05: ring of 8, equal speeds .998 / .997 / .996, every
second node 4 times slower .99 / .83 / .59, one 4 times slower .997 / .94 / .79; complete graph of 8, every second node
4 times slower .995 / .84 / .62. The fast half's influence on that ring is 1.50 / 1.37 / 1.08 times the average, but
only because reused contributions hold it back: .50 / .52 / .54 of the slow half's own training reaches the mean. The
price is agreement: with 0 the distance between nodes after settling is up to a quarter larger than with 1 at short
delays, about twice at delays of a phase, several times under 30% loss. Each message is mixed once: the default is 0.

How it settles and ends: `pace`. Only a static schedule goes with it: every node counts its own rounds, so that one
node's round 7 is no other's, and schedules keyed by the round would send states to those who do not listen and wait for
those who do not send.

The mean is not kept; `drift` says by how much it moved.

Sources: AD-PSGD (Lian et al., 2018), SWIFT (Bornstein et al., 2023).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.core.events import Received, Report, Send, Trained
from gossipfl.core.messages import Header
from gossipfl.core.protocol import Parts, Schedule
from gossipfl.core.protocols.neighborhood import Neighborhood
from gossipfl.core.protocols.own import Contribution, Contributions, OwnState
from gossipfl.core.protocols.pace import OwnPace
from gossipfl.core.vector import P
from gossipfl.errors import TopologyError


@dataclass(frozen=True, slots=True)
class _Newest(Generic[P]):
    """A neighbor's newest contribution and the own round it arrived in."""

    state: P
    header: Header
    round: int


class Newest(Generic[P]):
    """An exchange: the newest of each neighbor, mixed into the own state."""

    def __init__(self, parts: Parts[P], own: OwnState[P], neighbors: Neighborhood) -> None:
        self._parts = parts
        self._own = own
        self._neighbors = neighbors
        self._newest: dict[str, _Newest[P]] = {}
        self._fresh: set[str] = set()

    @property
    def may_train(self) -> bool:
        """Always."""
        return True

    @property
    def hears_all(self) -> bool:
        """As its schedule is static."""
        return True

    def take(self, event: Received[P], header: Header) -> list[Send[P]]:  # noqa: ARG002  # nothing to say at once
        """Keeps a neighbor's message in place of its last."""
        if self._parts.live and event.header.is_at_the_start:
            # it has learned nothing yet, and says so that a newcomer need not wait for it
            return []
        self._newest[event.sender] = _Newest(event.state, event.header, self._own.snapshot.round)
        self._fresh.add(event.sender)
        return []

    @property
    def has_met(self) -> bool:
        """Always: a round mixes what there is."""
        return True

    def is_complete(self, awaited: list[str]) -> bool:
        """Whether each has given a fresh contribution since the own last publication."""
        return self._fresh.issuperset(awaited)

    def train(self, event: Trained[P]) -> Report:
        """Mixes around a training phase."""
        contributions, ages = self._contributions()
        middle = self._own.snapshot.step + event.steps / 2
        early = {name: part for name, part in contributions.items() if part.header.step < middle}
        late = {name: part for name, part in contributions.items() if part.header.step >= middle}
        return self._own.mix_around(event, early, late, ages)

    def mix(self) -> Report:
        """Mixes what there is."""
        return self._own.mix(*self._contributions())

    def _contributions(self) -> tuple[Contributions[P], Mapping[str, int]]:
        """What there is to mix, with discounted weights, and the age of each neighbor's newest."""
        weights = self._parts.schedule.row(self._parts.name, self._own.snapshot.round).weights
        ages = {name: self._age(name) for name in weights if name != self._parts.name}
        terms = {name: self._contribution(name, weights[name], age) for name, age in ages.items()}
        return {name: term for name, term in terms.items() if term is not None}, ages

    def _age(self, name: str) -> int:
        """Own mixings since the newest contribution could first be mixed, or since the beginning."""
        newest, number = self._newest.get(name), self._own.snapshot.round
        return number - newest.round if newest else number

    def _contribution(self, name: str, weight: float, age: int) -> Contribution[P] | None:
        newest, gossip = self._newest.get(name), self._parts.gossip
        discounted = weight * gossip.staleness_discount**age
        if newest is None or age > gossip.max_staleness or not discounted:
            return None
        return Contribution(discounted, newest.state, newest.header)

    def publish(self, header: Header) -> list[Send[P]]:
        """The state, to all who mix it."""
        self._fresh.clear()
        receivers = self._parts.schedule.row(self._parts.name, self._own.snapshot.round).receivers
        audience = self._neighbors.audience(receivers, settled=header.settled)
        return self._own.publish(audience, header, replaceable=True)

    def welcome(self, name: str, header: Header) -> list[Send[P]]:
        """The newest publication once more; where who is up changes, also that there is none yet."""
        sends = self._own.resend(name)
        if not sends and self._parts.live and header.is_at_the_start:
            return self._own.publish((name,), header, replaceable=True)
        return sends

    def adopt(self) -> Report | None:
        """The mean of the newest of each neighbor, by its weight here."""
        weights = self._parts.schedule.row(self._parts.name, self._own.snapshot.round).weights
        contributions = {
            name: Contribution(weights[name], newest.state, newest.header)
            for name, newest in sorted(self._newest.items())
            if weights.get(name)
        }
        return self._own.adopt(contributions) if contributions else None

    def rewire(self, schedule: Schedule) -> None:
        """Forgets those that are neighbors no longer."""
        self._parts = replace(self._parts, schedule=schedule)
        for name in self._newest.keys() - {*self._neighbors.names}:
            del self._newest[name]
        self._fresh.intersection_update(self._neighbors.names)


def build(parts: Parts[P]) -> OwnPace[P]:
    """The protocol for one node.

    Raises:
        TopologyError: the schedule is not static.
    """
    if parts.schedule.period != 1:
        raise TopologyError(
            "topology.schedule: wait_free nodes count rounds of their own, which a schedule that changes from round to "
            "round cannot go by: take static, or gossip.protocol sync"
        )
    own = OwnState(parts)
    neighbors = Neighborhood(parts.schedule.neighbors(parts.name), parts.gossip.linger_s)
    return OwnPace(parts, own, neighbors, Newest(parts, own, neighbors))
