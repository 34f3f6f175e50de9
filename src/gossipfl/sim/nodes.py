"""What every simulated node is made of, with training or without: names, schedule, parts, and the world around them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.graph_files import graph_for
from gossipfl.config.protection import ProtectionConfig
from gossipfl.config.simulation import SimulationConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.core.codecs.packing import FLOW_BYTES, packer_for
from gossipfl.core.messages import Clear, Pack, Packet, Publishable
from gossipfl.core.protocol import Mixing, Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.rng import generator
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.tables import resolve
from gossipfl.core.topology import build_schedule
from gossipfl.core.validation import check_state
from gossipfl.core.vector import P
from gossipfl.core.work import build_work
from gossipfl.errors import MessageError
from gossipfl.protection.letters import Guard
from gossipfl.protection.terms import check_protectable
from gossipfl.runs.compute import build_duration
from gossipfl.runs.roster import Roster
from gossipfl.runs.spread import Spread, spread_of
from gossipfl.sim.attackers import attackers_of
from gossipfl.sim.availability import AVAILABILITIES, Partition
from gossipfl.sim.guards import Guarded
from gossipfl.sim.links import LINKS
from gossipfl.sim.network import NetworkParts, Weigh, Weighed
from gossipfl.sim.sanity import check_attackers, check_joins, check_names, warn_of_no_end
from gossipfl.sim.trainers import Trainer
from gossipfl.sim.world import World
from gossipfl.sim.world_parts import WorldParts
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

PURPOSES = ("compute", "links", "availability", "recorder")
"""What a simulation draws random numbers for, besides training."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The part of a simulation that training has nothing to do with.

    Attributes:
        seed: of everything that is drawn.
        topology, gossip, simulation: the experiment's sections.
        folder: of experiment.yaml.
        protection: another section.
        tokens: see `DataSite`; where several processes train each keeps them by itself.
    """

    seed: int
    topology: TopologyConfig
    gossip: GossipConfig
    simulation: SimulationConfig
    folder: Path
    protection: ProtectionConfig = field(default_factory=ProtectionConfig)
    tokens: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes'."""
        return self.simulation.names

    @property
    def roster(self) -> Roster:
        """Whose data it is."""
        return Roster(self.names, self.folder, None if self.simulation.engine == "ray" else self.tokens)


@dataclass(frozen=True, slots=True)
class Course:
    """What each node is to do.

    Attributes:
        phases, local_steps: of training; no phase without it.
        own: how each node trains; where it stands not here, as all do.
        initial: state by node.
        origin: what every node knows of every other before the first message.
        clear: makes a node's state publishable.
        trainer: carries out training.
        mixing: how states combine.
        spread: where states lie, as what mixing averages sees it.
    """

    phases: int
    local_steps: int
    initial: Mapping[str, AdapterState]
    origin: AdapterState
    clear: Callable[[str], Clear[AdapterState]]
    trainer: Trainer[AdapterState]
    mixing: Mixing[AdapterState]
    spread: Callable[[Sequence[AdapterState]], Spread] = spread_of
    own: Mapping[str, TrainingConfig] = field(default_factory=dict)


def schedule_for(setting: Setting) -> Schedule:
    """Who talks to whom.

    Raises:
        TopologyError: the graph cannot carry gossip, or its names are not the simulation's, or it protects nobody.
    """
    schedule = build_schedule(setting.topology, setting.names, graph_for(setting.topology, setting.folder))
    check_protectable(schedule, setting.protection)
    return schedule


def generators_of(setting: Setting) -> dict[str, np.random.Generator]:
    """Fresh generators by purpose."""
    return {purpose: generator(setting.seed, purpose=f"simulation {purpose}") for purpose in PURPOSES}


def node_parts(setting: Setting, schedule: Schedule, course: Course) -> dict[str, Parts[AdapterState]]:
    """What each node's protocol is made from, in its first life."""
    gossip, plain = setting.gossip, TrainingConfig(phases=max(1, course.phases), local_steps=course.local_steps)
    own = {name: course.own.get(name, plain) for name in setting.names}
    return {
        name: Parts(
            name=name,
            schedule=schedule,
            mixing=course.mixing,
            gossip=gossip,
            phases=course.phases,
            local_steps=own[name].local_steps,
            local_seconds=own[name].local_seconds,
            work=build_work(gossip, own[name]),
            clear=course.clear(name),
            packer=partial(packer_of, setting, course.origin, name),
            seed=setting.seed,
            newcomer=name in setting.simulation.availability.joins,
            sums_only=setting.protection.sums_only,
            # without `unmixed`: what is recorded of a run has the mean itself
            snapshot=Snapshot(state=course.initial[name]),
        )
        for name in setting.names
    }


MADE = ("clear", "packer", "work")
"""Parts of a node that are calls, which no checkpoint holds."""


def shared_objects(parts: Mapping[str, Parts[AdapterState]]) -> dict[str, object]:
    """What configuration builds, and checkpoints therefore name; nodes that were restarted have parts of their own."""
    one = next(iter(parts.values()))
    shared: dict[str, object] = {"schedule": one.schedule, "mixing": one.mixing, "gossip": one.gossip}
    for name, part in parts.items():
        spec = part.snapshot.state.spec
        shared |= {f"spec {name}": spec, f"shared spec {name}": spec.shared()}
    own = {f"parts {name}": part for name, part in parts.items()}
    makers = {f"{kind} {name}": getattr(part, kind) for name, part in parts.items() for kind in MADE}
    return {**shared, **own, **makers}


def build_world(
    setting: Setting,
    parts: Mapping[str, Parts[P]],
    generators: Mapping[str, np.random.Generator],
    *,
    trainer: Trainer[P],
    weigh: Weigh[P],
    guard: Callable[[str, int], Guard[P]] | None = None,
) -> World[P]:
    """The world with all nodes in it, nothing having happened yet.

    Args:
        parts: of each node, in its first life.
        generators: see `generators_of`.
        trainer: carries out training.
        weigh: what a publication is to its line.
        guard: see `WorldParts`.

    Raises:
        ConfigError: a model's settings make no sense.
        ValueError: states are protected, and nobody guards them.
    """
    if setting.protection.sums_only and guard is None:
        raise ValueError(f"protection {setting.protection.kind} without guards: states would travel in clear")
    simulation, names, schedule = setting.simulation, setting.names, next(iter(parts.values())).schedule
    _look_over(setting, schedule)
    compute, links, availability = simulation.compute, simulation.links, simulation.availability
    build = resolve(PROTOCOLS, setting.gossip.protocol, field="gossip.protocol")
    carry = resolve(LINKS, links.kind, field="simulation.links.kind")
    outages = resolve(AVAILABILITIES, availability.kind, field="simulation.availability.kind")

    def protocol(name: str, snapshot: Snapshot[P]) -> Protocol[P]:
        # of the first life the very parts that checkpoints name
        own = parts[name]
        return build(own if snapshot is own.snapshot else replace(own, snapshot=snapshot))

    world_parts = WorldParts(
        schedule=schedule,
        build=protocol,
        trainer=trainer,
        duration=build_duration(compute, generators["compute"]),
        network=NetworkParts(
            weigh=weigh,
            carry=carry(links, generators["links"]),
            partitions=[Partition(config, names) for config in availability.partitions],
            reordering=links.reordering,
        ),
        outages=outages(availability, names, setting.folder, generators["availability"]),
        guard=guard,
        attackers=attackers_of(simulation.attackers, schedule, setting.seed),
        machines=simulation.machines,
    )
    return World(world_parts, {name: parts[name].snapshot for name in names})


def guards_of(setting: Setting, schedule: Schedule, course: Course) -> Callable[[str, int], Guard[AdapterState]] | None:
    """What makes a node's guard; see `WorldParts`."""
    guarded = Guarded(setting.seed, setting.protection, schedule, course.origin.spec, setting.gossip.max_norm)
    return guarded.make()


def weigher(setting: Setting) -> Weigh[AdapterState]:
    """Bytes of publications, and what receivers' checks say of them."""
    max_norm = setting.gossip.max_norm

    def weigh(sender: str, packet: Packet[AdapterState]) -> Weighed:
        size, whole = packet.size, packet.seen.vector.nbytes
        flow = packet.seen.spec.size * FLOW_BYTES
        try:
            check_state(packet.seen, peer=sender, max_norm=max_norm)
        except MessageError as error:
            return Weighed(size, whole, flow, error.reason)
        return Weighed(size, whole, flow)

    return weigh


def packer_of(setting: Setting, origin: AdapterState, name: str) -> Pack[AdapterState]:
    """What encodes the publications of one life of a node: the real codec."""
    return Unladen(packer_for(setting.gossip, setting.seed, origin, name))


@dataclass(frozen=True, slots=True)
class Unladen:
    """Packets without their payload: here a receiver sees what the sender's codec has decoded."""

    pack: Pack[AdapterState]

    def __call__(self, content: Publishable[AdapterState]) -> Packet[AdapterState]:
        """The next publication."""
        full = self.pack(content)
        return Packet(content, full.seen, full.residual, full.number, full.reference, b"", full.size)


def _look_over(setting: Setting, schedule: Schedule) -> None:
    check_names(setting.simulation)
    check_joins(setting.simulation, setting.gossip)
    check_attackers(setting.simulation, setting.gossip)
    warn_of_no_end(setting.simulation, setting.gossip)
    _warn_of_one_way(setting, schedule)


def _warn_of_one_way(setting: Setting, schedule: Schedule) -> None:
    """Where i hears j and j does not hear i, a node that is down takes its hearer's weight from nobody."""
    churns = setting.gossip.protocol == "sync" and setting.simulation.availability.kind != "always"
    parts = ((node, schedule.row(node, number)) for number in range(schedule.period or 0) for node in schedule.nodes)
    if churns and any({*row.weights} - {node} != {*row.receivers} for node, row in parts):
        logger.warning(
            "topology.schedule: %s sends one way, so with a node down the mean of the others moves (mean_drift); base "
            "keeps it",
            setting.topology.schedule,
        )
