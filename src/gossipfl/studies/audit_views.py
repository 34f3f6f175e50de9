"""Who looks at a run with canaries, from how far, and what is seen.

0 hops   every noised gradient (at level update every released phase), and the state after each phase
1 hop    each state that the owner sends it
d hops   each state that its neighbor nearest to the owner sends it: after d mixings
under `protection` both: the mean of all that their neighbors send them
"""

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from gossipfl.config.audit import AuditConfig
from gossipfl.core.events import Event, Received, Summed, Trained
from gossipfl.core.protocol import Schedule
from gossipfl.errors import ConfigError
from gossipfl.learning.planted import PlantedBench
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observer:
    """Who guesses.

    Attributes:
        hops: links from the owner.
        node: its name.
        teller: whose messages it reads: of its neighbors the one nearest to the owner; itself at 0 hops.
    """

    hops: int
    node: str
    teller: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What one observer saw.

    Attributes:
        observer: who.
        seen, own: (times, canaries) what the canaries' probe read off each state it saw, and off its own at the time.
        losses: (pool,) under the last state it saw.
    """

    observer: Observer
    seen: Floats
    own: Floats
    losses: Floats


def observers_of(config: AuditConfig, owner: str, schedule: Schedule) -> tuple[Observer, ...]:
    """Who guesses: of each distance the first node.

    Raises:
        ConfigError: nobody is so far away.
    """
    graph = nx.Graph((name, other) for name in schedule.nodes for other in schedule.neighbors(name))
    far: Mapping[str, int] = nx.single_source_shortest_path_length(graph, owner)
    farthest = max(far.values())
    wished = sorted(set(config.hops if config.hops is not None else (0, 1, farthest)))
    if wished[-1] > farthest:
        raise ConfigError(f"audit.hops: nobody is {wished[-1]} links from {owner}; the farthest are {farthest}")
    found = []
    for hops in wished:
        node = next(name for name in schedule.nodes if far[name] == hops)
        found.append(Observer(hops, node, min(schedule.neighbors(node), key=far.__getitem__) if hops else owner))
    return tuple(found)


class Watcher:
    """Reads what one observer sees, while the world goes on."""

    def __init__(self, observer: Observer, world: World[AdapterState], planted: PlantedBench, owner: str) -> None:
        self._observer = observer
        self._world = world
        self._planted = planted
        self._owner = owner
        self._seen: list[Floats] = []
        self._own: list[Floats] = []
        self._last = world.bodies[owner].snapshot.state

    def note(self, name: str, event: Event[AdapterState]) -> None:
        """An event that a node is about to handle."""
        if name != self._observer.node:
            return
        own = self._world.bodies[name].snapshot.state
        match event:
            case Trained(state=state) if not self._observer.hops:
                self._look(state, own)
            case Received(sender=sender, state=state) if self._observer.hops and sender == self._observer.teller:
                # what is shared of it, in place of the observer's own
                self._look(own.toward([(1.0, state)]), own)
            case Summed(mean=state) if self._observer.hops and state is not None:
                # under masks nobody reads more than the mean of all senders
                self._look(own.toward([(1.0, state)]), own)

    def sight(self) -> Sight:
        """What it came to."""
        empty = np.empty((0, 0))
        return Sight(
            self._observer,
            np.array(self._seen) if self._seen else empty,
            np.array(self._own) if self._own else empty,
            self._planted.pool.losses(self._last),
        )

    def _look(self, seen: AdapterState, own: AdapterState) -> None:
        self._seen.append(self._planted.canaries(seen))
        self._own.append(self._planted.canaries(own))
        self._last = seen
