"""What a simulated world is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

from gossipfl.config.machine import MachineConfig
from gossipfl.core.protocol import Protocol, Schedule
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.vector import P
from gossipfl.protection.letters import Guard
from gossipfl.runs.compute import Duration
from gossipfl.sim.attackers import Attackers
from gossipfl.sim.availability import Outages
from gossipfl.sim.network import NetworkParts
from gossipfl.sim.trainers import Trainer


@dataclass(frozen=True, slots=True)
class WorldParts(Generic[P]):
    """What a world is made of; none of it changes while it runs.

    Attributes:
        schedule: whose nodes live in it.
        build: a node's protocol, from a snapshot.
        trainer: carries out training.
        duration: how long that takes.
        network: lines and partitions.
        outages: when nodes are down.
        guard: of a node in one of its lives; None where states travel as they are.
        attackers: who sends something else; None where all are honest.
        machines: of nodes that have one of their own.
    """

    schedule: Schedule
    build: Callable[[str, Snapshot[P]], Protocol[P]]
    trainer: Trainer[P]
    duration: Duration
    network: NetworkParts[P]
    outages: Outages
    guard: Callable[[str, int], Guard[P]] | None = None
    attackers: Attackers[P] | None = None
    machines: Mapping[str, MachineConfig] = field(default_factory=dict)
