"""A node's own state: trains, mixes, is published. What every protocol does alike.

    start ──Train──> after      state ← state + f · (after − start)       whatever mixing made of it meanwhile
                                unmixed ← unmixed + f · (after − start)   initial state + sum of own increments
    state ──mix──> state        unmixed stays

So drift = state − unmixed is the sum of what own mixings have changed; summed over the nodes, what mixing has added to
the network's sum. It is 0 where mixing keeps the mean. Without `unmixed` at the start it is not kept: a pass less.
f is 1 for a phase of as many steps as all do, see `core.work`.

Where a codec loses something, neighbors see x̂, not x. Mixing goes by what is seen of both ends, and what was not seen
stays: x ← x + Σ_j w_ij (x̂_j − x̂), x̂ = x − residual, see `outlet`. It keeps the mean as without loss.
Source: CHOCO, Koloskova, Stich & Jaggi (2019).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic

from gossipfl.core.events import Checkpoint, Effect, Finish, Report, Send, Train, Trained
from gossipfl.core.mass import Mass
from gossipfl.core.messages import Header, Pack, Packet
from gossipfl.core.mixing.among import shared
from gossipfl.core.mixing.weighted import weighted_sum
from gossipfl.core.outer import Outer
from gossipfl.core.protocol import Parts, Schedule
from gossipfl.core.protocols.neighborhood import Neighborhood
from gossipfl.core.protocols.outer_step import OuterStep
from gossipfl.core.protocols.outlet import Outlet
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P
from gossipfl.core.work import scaled


@dataclass(frozen=True, slots=True)
class Contribution(Generic[P]):
    """What a neighbor contributes to one mixing.

    Attributes:
        weight: of its state in the mixing.
    """

    weight: float
    state: P
    header: Header


Contributions = Mapping[str, Contribution[P]]
"""By neighbor, in an order that does not depend on arrival."""


def _weight(contributions: Contributions[P]) -> float:
    return sum(part.weight for part in contributions.values())


def _moved(point: P, start: P, after: P) -> P:
    """The point, moved as training has moved its start."""
    # exact where nothing was mixed; by value, since a checkpoint does not know which states were the same object
    return after if point == start else weighted_sum([(1.0, after), (-1.0, start), (1.0, point)])


class OwnState(Generic[P]):
    """The snapshot and the newest publication; the one place where either changes."""

    def __init__(self, parts: Parts[P]) -> None:
        self.parts = parts
        self.snapshot: Snapshot[P] = parts.snapshot
        self._under_way: Train[P] | None = None
        self._outlet = Outlet(parts)

    @property
    def may_train(self) -> bool:
        """Whether a training phase is left and can be paid for."""
        return not self.snapshot.exhausted and self.snapshot.phase < self.parts.phases

    def train(self) -> Train[P]:
        """The next training phase, from the state as it is."""
        now = self.snapshot
        self._under_way = Train(now.phase, now.state, now.step, self.parts.local_steps, self.parts.local_seconds)
        return self._under_way

    def answers(self, event: Trained[P]) -> bool:
        """Whether the event answers the training phase under way, and is to be absorbed."""
        return self._under_way is not None and event.version == self._under_way.version

    def absorb(self, event: Trained[P]) -> None:
        """Adds what the training phase under way has changed; no phase is under way any more.

        Args:
            event: one that `answers`.
        """
        now, (start, after) = self.snapshot, self._way(event)
        self._under_way = None
        # spelled out, here and where it is mixed: `replace` takes thrice as long
        self.snapshot = Snapshot(
            state=_moved(now.state, start, after),
            unmixed=None if now.unmixed is None else _moved(now.unmixed, start, after),
            phase=now.phase + 1,
            step=now.step + event.steps,
            round=now.round,
            receipt=event.receipt,
            exhausted=now.exhausted or event.exhausted,
            settle_rounds=now.settle_rounds,
            mass=None if now.mass is None else now.mass.trained(start, after),
            outer=now.outer,
        )

    def _way(self, event: Trained[P]) -> tuple[P, P]:
        """From where to where the phase under way has led, by as much as it counts."""
        asked = self._begun(event)
        start = asked.snapshot if event.start is None else event.start
        # a phase that the budget has cut short counts as a whole one: made longer, its noise would be too
        steps = asked.steps if event.exhausted and event.steps else event.steps
        return start, scaled(start, event.state, self.parts.work, steps)

    def _begun(self, event: Trained[P]) -> Train[P]:
        """The training phase under way."""
        if self._under_way is None:
            raise AssertionError(f"phase {event.version} was not asked for, or is absorbed already")
        return self._under_way

    def begin_outward(self) -> None:
        """In the first life: the phase that outer steps are counted from begins where the node does."""
        if self.snapshot.outer is None:
            self.snapshot = replace(self.snapshot, outer=Outer(self.snapshot.state))

    def step_outward(self, step: OuterStep) -> None:
        """Takes the mixed state for a wish, and goes as the outer step says."""
        now = self.snapshot
        if now.outer is None:
            raise AssertionError("no outer step was begun")
        after = step(now.outer, now.state)
        self.snapshot = replace(now, state=after.slow, outer=after)

    def mix(self, contributions: Contributions[P], staleness: Mapping[str, int]) -> Report:
        """Mixes; what the contributions leave of weight 1 is the own state's. One round more is finished.

        Args:
            contributions: by neighbor, in an order that does not depend on arrival.
            staleness: own phases since every expected neighbor was heard; those without contribution are absent.
        """
        contributions = self._slowed(contributions)
        kept = 1.0 - _weight(contributions)
        self._blend(contributions, kept, rounds=1)
        return self._report(contributions, staleness, kept)

    def mix_around(
        self, event: Trained[P], early: Contributions[P], late: Contributions[P], staleness: Mapping[str, int]
    ) -> Report:
        """Mixes `early` into the state before a training phase, adds the phase, mixes `late` into the state after it.

        In the result every contribution has its own weight, as in one mixing; of mixing that compares states it is one.
        """
        early, late = self._slowed(early), self._slowed(late)
        kept = 1.0 - _weight(late)
        if self.parts.gossip.compares:
            return self._mix_at_once(event, early, late, staleness)
        first = {name: replace(part, weight=part.weight / kept) for name, part in early.items()}
        self._blend(first, 1.0 - _weight(first), rounds=0)
        self.absorb(event)
        self._blend(late, kept, rounds=1)
        return self._report({**early, **late}, staleness, kept)

    def _mix_at_once(
        self, event: Trained[P], early: Contributions[P], late: Contributions[P], staleness: Mapping[str, int]
    ) -> Report:
        """The same for mixing that holds neighbors against each other: all in one go, as they are after the phase.

        What was early is moved as the own training has moved the own state; of a weighted mean this is the same.
        """
        start, after = (shared(end) for end in self._way(event))
        moved = {name: replace(part, state=_moved(part.state, start, after)) for name, part in early.items()}
        self.absorb(event)
        together = {**moved, **late}
        self._blend(together, 1.0 - _weight(together), rounds=1)
        return self._report(together, staleness, 1.0 - _weight(late))

    def adopt(self, contributions: Contributions[P]) -> Report:
        """Goes to where the neighbors are, by their weights; the own state, which has learned nothing, is dropped."""
        total = _weight(contributions)
        shares = {name: replace(part, weight=part.weight / total) for name, part in contributions.items()}
        self._blend(shares, 0.0, rounds=1)
        return self._report(shares, dict.fromkeys(shares, 0), 0.0)

    def rewire(self, schedule: Schedule) -> None:
        """Another static schedule."""
        self.parts = replace(self.parts, schedule=schedule)

    @property
    def books(self) -> Mass[P]:
        """Of what crosses edges; for protocols that keep them from their beginning."""
        if self.snapshot.mass is None:
            raise AssertionError("books are kept from the beginning")
        return self.snapshot.mass

    def book(self, mass: Mass[P], state: P, *, rounds: int = 0) -> None:
        """Keeps new books, and the state that follows from them."""
        self._become(state, mass, rounds)

    def _slowed(self, contributions: Contributions[P]) -> Contributions[P]:
        rate = self.parts.gossip.rate
        if rate == 1.0:
            return contributions
        return {name: replace(part, weight=part.weight * rate) for name, part in contributions.items()}

    def _blend(self, contributions: Contributions[P], kept: float, *, rounds: int) -> None:
        now = self.snapshot
        state = self._mixed(now.state, contributions, kept) if contributions else now.state
        self._become(state, now.mass, rounds)

    def _become(self, state: P, mass: Mass[P] | None, rounds: int) -> None:
        """Another state without training."""
        now = self.snapshot
        self.snapshot = Snapshot(
            state=state,
            unmixed=now.unmixed,
            phase=now.phase,
            step=now.step,
            round=now.round + rounds,
            receipt=now.receipt,
            exhausted=now.exhausted,
            settle_rounds=now.settle_rounds,
            mass=mass,
            outer=now.outer,
        )

    def _mixed(self, own: P, contributions: Contributions[P], kept: float) -> P:
        terms = {name: (part.weight, part.state) for name, part in contributions.items()}
        residual = self._outlet.residual
        if residual is None:
            return self.parts.mixing.mix(own, kept, terms)
        # both ends of an edge go by what the other sees: what one gains the other loses
        return self.parts.mixing.mix(own - residual, kept, terms) + residual

    def _report(self, contributions: Contributions[P], staleness: Mapping[str, int], increment_weight: float) -> Report:
        now = self.snapshot
        weights = {name: part.weight for name, part in contributions.items()}
        return Report(
            round=now.round,
            phase=now.phase,
            step=now.step,
            weights={self.parts.name: max(0.0, 1.0 - _weight(contributions)), **weights},
            staleness=dict(staleness),
            absent=tuple(name for name in staleness if name not in contributions),
            sources={name: part.header for name, part in contributions.items()},
            increment_weight=increment_weight,
        )

    def checkpoint(self) -> Checkpoint[P]:
        """The snapshot, to be made durable."""
        return Checkpoint(self.snapshot)

    def packed(self) -> Packet[P]:
        """The state as the next publication, cleared for it."""
        return self._outlet.packed(self.snapshot)

    def packed_by(self, pack: Pack[P]) -> Packet[P]:
        """The state as the next publication of a stream, cleared for it."""
        return self._outlet.packed_by(pack, self.snapshot)

    def publish(self, receivers: Iterable[str], header: Header, *, replaceable: bool) -> list[Send[P]]:
        """The state, cleared for publication, to each receiver; kept for `resend`."""
        return self._outlet.publish(self.snapshot, tuple(receivers), header, replaceable=replaceable)

    def resend(self, receiver: str) -> list[Send[P]]:
        """The newest publication of this life, if any, to one receiver whose link came up."""
        return self._outlet.resend(receiver)

    def leave(self, neighborhood: Neighborhood, now: float) -> list[Effect[P]]:
        """Effects of being settled; the final state is durable before `Finish`."""
        effects: list[Effect[P]] = []
        for effect in neighborhood.leave(now):
            effects += [self.checkpoint(), effect] if isinstance(effect, Finish) else [effect]
        return effects
