"""What every simulated node is made of, with training or without: names, schedule, parts, and the world around them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.graph_files import graph_for
from gossipfl.config.simulation import SimulationConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.codecs.packing import FLOW_BYTES, packer_for
from gossipfl.core.messages import Clear, Pack, Packet, Publishable
from gossipfl.core.protocol import Mixing, Parts, Protocol, Schedule
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.rng import generator
from gossipfl.core.snapshot import Snapshot
from gossipfl.core.tables import resolve
from gossipfl.core.topology import build_schedule, is_doubly_stochastic, is_exact, second_eigenvalue, sparse_matrix
from gossipfl.core.validation import check_state
from gossipfl.errors import ConfigError, MessageError
from gossipfl.runs.compute import build_duration
from gossipfl.runs.fleet import Roster
from gossipfl.runs.spread import Spread, spread_of
from gossipfl.sim.attackers import ATTACKS, Tamper, Tampered
from gossipfl.sim.availability import AVAILABILITIES, Partition
from gossipfl.sim.links import LINKS
from gossipfl.sim.network import NetworkParts, Weigh, Weighed
from gossipfl.sim.trainers import Trainer
from gossipfl.sim.world import World
from gossipfl.sim.world_parts import WorldParts
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

PURPOSES = ("compute", "links", "availability", "attackers", "recorder")
"""What a simulation draws random numbers for, besides training."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The part of a simulation that training has nothing to do with.

    Attributes:
        seed: of everything that is drawn.
        topology, gossip, simulation: the experiment's sections.
        folder: of experiment.yaml.
    """

    seed: int
    topology: TopologyConfig
    gossip: GossipConfig
    simulation: SimulationConfig
    folder: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes'."""
        return self.simulation.names

    @property
    def roster(self) -> Roster:
        """Whose data it is."""
        return Roster(self.names, self.folder)


@dataclass(frozen=True, slots=True)
class Course:
    """What each node is to do.

    Attributes:
        phases, local_steps: of training; no phase without it.
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


def schedule_for(setting: Setting) -> Schedule:
    """Who talks to whom.

    Raises:
        TopologyError: the graph cannot carry gossip, or its names are not the simulation's.
    """
    return build_schedule(setting.topology, setting.names, graph_for(setting.topology, setting.folder))


def generators_of(setting: Setting) -> dict[str, np.random.Generator]:
    """Fresh generators by purpose."""
    return {purpose: generator(setting.seed, purpose=f"simulation {purpose}") for purpose in PURPOSES}


def node_parts(
    setting: Setting, schedule: Schedule, course: Course, generators: Mapping[str, np.random.Generator]
) -> dict[str, Parts[AdapterState]]:
    """What each node's protocol is made from, in its first life."""
    gossip = setting.gossip
    attackers = setting.simulation.attackers
    tamper = resolve(ATTACKS, attackers.kind, field="simulation.attackers.kind")(attackers, generators["attackers"])
    return {
        name: Parts(
            name=name,
            schedule=schedule,
            mixing=course.mixing,
            gossip=gossip,
            phases=course.phases,
            local_steps=course.local_steps,
            clear=course.clear(name),
            packer=partial(packer_of, setting, course.origin, tamper, name),
            seed=setting.seed,
            # without `unmixed`: what is recorded of a run has the mean itself
            snapshot=Snapshot(state=course.initial[name]),
        )
        for name in setting.names
    }


def shared_objects(parts: Mapping[str, Parts[AdapterState]]) -> dict[str, object]:
    """What configuration builds, and checkpoints therefore name; nodes that were restarted have parts of their own."""
    one = next(iter(parts.values()))
    shared: dict[str, object] = {"schedule": one.schedule, "mixing": one.mixing, "gossip": one.gossip}
    for name, part in parts.items():
        spec = part.snapshot.state.spec
        shared |= {f"spec {name}": spec, f"shared spec {name}": spec.shared()}
    own = {f"parts {name}": part for name, part in parts.items()}
    makers = {f"{kind} {name}": getattr(part, kind) for name, part in parts.items() for kind in ("clear", "packer")}
    return {**shared, **own, **makers}


def build_world(
    setting: Setting,
    course: Course,
    parts: Mapping[str, Parts[AdapterState]],
    generators: Mapping[str, np.random.Generator],
) -> World[AdapterState]:
    """The world with all nodes in it, nothing having happened yet.

    Raises:
        ConfigError: a model's settings make no sense.
    """
    simulation, names = setting.simulation, setting.names
    _check_names(simulation, names)
    _warn_of_no_end(setting)
    _warn_of_one_way(setting, next(iter(parts.values())).schedule)
    compute, links, availability = simulation.compute, simulation.links, simulation.availability
    build = resolve(PROTOCOLS, setting.gossip.protocol, field="gossip.protocol")
    carry = resolve(LINKS, links.kind, field="simulation.links.kind")
    outages = resolve(AVAILABILITIES, availability.kind, field="simulation.availability.kind")

    def protocol(name: str, snapshot: Snapshot[AdapterState]) -> Protocol[AdapterState]:
        # of the first life the very parts that checkpoints name
        own = parts[name]
        return build(own if snapshot is own.snapshot else replace(own, snapshot=snapshot))

    world_parts = WorldParts(
        schedule=next(iter(parts.values())).schedule,
        build=protocol,
        trainer=course.trainer,
        duration=build_duration(compute, generators["compute"]),
        network=NetworkParts(
            weigh=weigher(setting),
            carry=carry(links, generators["links"]),
            partitions=[Partition(config, names) for config in availability.partitions],
            reordering=links.reordering,
        ),
        outages=outages(availability, names, setting.folder, generators["availability"]),
    )
    return World(world_parts, {name: parts[name].snapshot for name in names})


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


def packer_of(setting: Setting, origin: AdapterState, tamper: Tamper, name: str) -> Pack[AdapterState]:
    """What encodes the publications of one life of a node: the real codec, perhaps in dishonest hands."""
    pack = Unladen(packer_for(setting.gossip, setting.seed, origin, name))
    return Tampered(name, tamper, pack) if name in setting.simulation.attackers.nodes else pack


@dataclass(frozen=True, slots=True)
class Unladen:
    """Packets without their payload: here a receiver sees what the sender's codec has decoded."""

    pack: Pack[AdapterState]

    def __call__(self, content: Publishable[AdapterState]) -> Packet[AdapterState]:
        """The next publication."""
        full = self.pack(content)
        return Packet(content, full.seen, full.residual, full.number, full.reference, b"", full.size)


def lambda_of(schedule: Schedule) -> float | None:
    """λ of a schedule that is the same in every round and keeps the mean; None for others."""
    if schedule.period != 1:
        return None
    matrix = sparse_matrix(schedule, 0)
    return second_eigenvalue(matrix) if is_doubly_stochastic(matrix) else None


def averages_exactly(setting: Setting, schedule: Schedule) -> bool:
    """Whether a period of the schedule gives the mean: rounds are kept together, and nothing is lost in encoding."""
    gossip = setting.gossip
    lossless = gossip.rate == 1.0 and gossip.codec == "fp32"
    return gossip.protocol == "sync" and lossless and is_exact(schedule)


def _check_names(simulation: SimulationConfig, names: Sequence[str]) -> None:
    for field, named in (("compute.slow", simulation.compute.slow), ("attackers.nodes", simulation.attackers.nodes)):
        unknown = sorted(set(named) - set(names))
        if unknown:
            raise ConfigError(f"simulation.{field}: {unknown[0]!r} is no node; they are {names[0]} to {names[-1]}")


def _warn_of_one_way(setting: Setting, schedule: Schedule) -> None:
    """Where i hears j and j does not hear i, a node that is down takes its hearer's weight from nobody."""
    node = schedule.nodes[0]
    row = schedule.row(node, 0)
    one_way = schedule.period is not None and {*row.weights} - {node} != {*row.receivers}
    if one_way and setting.gossip.protocol == "sync" and setting.simulation.availability.kind != "always":
        logger.warning(
            "topology.schedule: %s sends one way, so with a node down the mean of the others moves (mean_drift); base "
            "keeps it",
            setting.topology.schedule,
        )


def _warn_of_no_end(setting: Setting) -> None:
    availability, gossip = setting.simulation.availability, setting.gossip
    if any(partition.until_s is None for partition in availability.partitions):
        logger.warning("simulation.availability.partitions: one never heals, so its sides end apart")
    # a restart begins to settle anew
    settles_anew = availability.kind == "churn" and gossip.protocol == "wait_free" and gossip.settle_rounds > 0
    if settles_anew and setting.simulation.until_s is None and availability.up_s < gossip.deadline_s:
        logger.warning(
            "simulation.availability.up_s: %g is less than gossip.deadline_s %g, so nodes may never stay up for long "
            "enough to settle; simulation.until_s ends the run",
            availability.up_s,
            gossip.deadline_s,
        )
