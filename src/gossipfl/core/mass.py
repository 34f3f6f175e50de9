"""A node's books of what has crossed its edges: sums that never start anew, so that no message has to arrive.

    pushed_j ← pushed_j + share · x̂          the message to j carries the whole of pushed_j, not the share
    s ← s + (new of j − heard_j),  heard_j ← new of j

    sum + Σ_j pushed_j − Σ_j heard_j  =  own start + own training            of each node, at any moment, in any life

A message that is lost is made up for by the next; one that comes twice adds nothing; of two out of order the older is
dropped. A node that goes on from an old checkpoint goes on with old books: they balance as well, and what a neighbor
has booked of the life that is forgotten is corrected by the next message. So the network's sum is the one it had, with
what is on its way counted, whatever happens to messages and nodes.

Weights lie on a grid of 2⁻³², so that their sums are exact in float64 up to 2²¹.

Sources: Vaidya, Hadjicostis & Domínguez-García (2011), arXiv 1101.3460; Spiridonoff, Olshevsky & Paschalidis (2020).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
from blake3 import blake3

from gossipfl.core.vector import P
from gossipfl.core.wide import Wide, widened

GRID = 2.0**-32
"""Every weight is a multiple of it."""
LARGEST = 2.0**21
"""Sums of weights up to this one are exact."""


def on_grid(weight: float) -> float:
    """The weight, rounded down to the grid."""
    return math.floor(weight / GRID) * GRID


@dataclass(frozen=True, slots=True)
class Flow(Generic[P]):
    """All that ever crossed one edge one way.

    Attributes:
        weight: sum of the weights.
        total: sum of weight times vector.
    """

    weight: float
    total: Wide[P]

    @property
    def mark(self) -> int:
        """A hash of 64 bits; 0 before anything crossed. Books are compared by it: counts of two lives collide."""
        if not self.weight:
            return 0
        content = np.float64(self.weight).tobytes() + np.asarray(self.total.values, "<f8").tobytes()
        return int.from_bytes(blake3(content).digest(8), "little")


@dataclass(frozen=True, slots=True)
class Mass(Generic[P]):
    """A node's share of the network's sum, and its books.

    Attributes:
        weight: its part of the number of nodes; 1 at the start. May be below 0 for a while after a neighbor has
            lost its memory.
        sum: the vector is sum / weight.
        pushed: to each neighbor.
        heard: of each neighbor.
    """

    weight: float
    sum: Wide[P]
    pushed: Mapping[str, Flow[P]] = field(default_factory=dict)
    heard: Mapping[str, Flow[P]] = field(default_factory=dict)

    def given(self, name: str) -> Flow[P]:
        """All that was ever given to a neighbor."""
        return self.pushed.get(name) or Flow(0.0, self.sum.zero())

    def booked(self, name: str) -> Flow[P]:
        """All that was ever booked of a neighbor."""
        return self.heard.get(name) or Flow(0.0, self.sum.zero())

    def received(self, name: str, flow: Flow[P]) -> "Mass[P]":
        """With a neighbor's newest total booked."""
        before = self.booked(name)
        gained = self.sum.moved(before.total, flow.total)
        return Mass(self.weight + flow.weight - before.weight, gained, self.pushed, {**self.heard, name: flow})

    def pushes(self, names: tuple[str, ...], share: float, seen: P) -> "Mass[P]":
        """With `share` of what is seen of the vector given to each of some neighbors."""
        empty = self.sum.zero()
        given = empty.plus(share, seen)
        flows = {name: self.given(name) for name in names}
        pushed = {name: Flow(flow.weight + share, flow.total.added(given)) for name, flow in flows.items()}
        left = self.sum.plus(-share * len(names), seen)
        return Mass(self.weight - share * len(names), left, {**self.pushed, **pushed}, self.heard)

    def trained(self, start: P, after: P) -> "Mass[P]":
        """With what training has changed."""
        return Mass(self.weight, self.sum.plus(1.0, after).plus(-1.0, start), self.pushed, self.heard)

    @property
    def whole(self) -> "Flow[P]":
        """Own start and own training: what it has, with what it gave and without what it got."""
        weight, total, empty = self.weight, self.sum, self.sum.zero()
        for flow in self.pushed.values():
            weight, total = weight + flow.weight, total.moved(empty, flow.total)
        for flow in self.heard.values():
            weight, total = weight - flow.weight, total.moved(flow.total, empty)
        return Flow(weight, total)


def first_mass(state: P) -> Mass[P]:
    """Of a node that has met nobody."""
    return Mass(1.0, widened(state))
