"""One combination of `gossipfl advise`, averaged on the simulator until its nodes agree.

    spread = √(Σ ‖x_i − x̄‖² / n) of the nodes that are up       drift = ‖x̄ − x̄(0)‖, both against the spread at the start
    reached  ⇔  spread ≤ error, and drift ≤ most_drift: what agrees somewhere else has not averaged

`simulation.links.bytes_per_s` is taken as all that a node sends in a second: the messages of one round share it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.simulation import SimulationConfig
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocol import Schedule
from gossipfl.core.rng import generator
from gossipfl.core.tables import resolve
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.runs.spread import Spread, spread_of
from gossipfl.sim.nodes import Course, Setting, build_world, generators_of, node_parts, schedule_for, weigher
from gossipfl.sim.trainers import NoEngine, Trainer
from gossipfl.sim.world import World
from gossipfl.state import AdapterSpec, AdapterState

LOOKED_ROUNDS = 8
"""Rounds in which the busiest node is looked for, where no two need be alike."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is averaged, and how.

    Attributes:
        topology, gossip, simulation: sections of the experiment, the combination in them.
        folder: of experiment.yaml.
        spec: of the small adapter.
        ratio: bytes of the real one's publication for one of the small one's.
        seed: of vectors and network.
        error: spread to reach, as a part of that at the start.
        most_drift: that the mean may have moved, in the same unit.
        rounds: exchange rounds at most.
        until_s: virtual seconds at most.
    """

    topology: TopologyConfig
    gossip: GossipConfig
    simulation: SimulationConfig
    folder: Path
    spec: AdapterSpec
    ratio: float
    seed: int
    error: float
    most_drift: float
    rounds: int
    until_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far it came.

    Attributes:
        reached: the error, without more drift than allowed.
        seconds: virtual, until then or until it was given up.
        bytes: sent by a node until then, mean, as the real adapter would take.
        rounds: of a node, mean.
        spread, drift: as parts of the spread at the start.
    """

    reached: bool
    seconds: float
    bytes: float
    rounds: float
    spread: float
    drift: float


def race(entry: Entry, *, stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Averages until the error is reached, or given up.

    Args:
        stopped: asked now and then; then it is given up at once.

    Raises:
        UserError: the combination is refused.
    """
    world = entered(entry)
    start = _spread(world)
    wanted = entry.error * start.consensus_distance
    last, sent = start, 0
    for sent_before in _instants(world, entry.until_s):
        last, sent = _spread(world), sent_before
        if last.consensus_distance <= wanted or stopped():
            break
    drift = float(np.linalg.norm(last.mean - start.mean)) / start.consensus_distance
    bodies = world.bodies.values()
    return Outcome(
        reached=last.consensus_distance <= wanted and drift <= entry.most_drift,
        seconds=world.now,
        bytes=sent / len(bodies) * entry.ratio,
        rounds=float(np.mean([body.snapshot.round for body in bodies])),
        spread=last.consensus_distance / start.consensus_distance,
        drift=drift,
    )


def entered(entry: Entry) -> World[AdapterState]:
    """The world of an entry, nothing having happened in it.

    Raises:
        UserError: the combination is refused.
    """
    gossip = entry.gossip.model_copy(update={"settle_rounds": entry.rounds})
    setting = Setting(entry.seed, entry.topology, gossip, entry.simulation, entry.folder)
    schedule = schedule_for(setting)
    setting = Setting(entry.seed, entry.topology, gossip, _shared_line(entry, schedule), entry.folder)
    course, generators = _course(entry, setting), generators_of(setting)
    parts = node_parts(setting, schedule, course)
    return build_world(setting, parts, generators, trainer=course.trainer, weigh=weigher(setting))


def _shared_line(entry: Entry, schedule: Schedule) -> SimulationConfig:
    links = entry.simulation.links
    if links.bytes_per_s is None:
        return entry.simulation
    rounds = range(schedule.period or LOOKED_ROUNDS)
    busiest = max(len(schedule.row(node, round).receivers) for node in schedule.nodes for round in rounds)
    line = links.model_copy(update={"bytes_per_s": links.bytes_per_s / (entry.ratio * busiest)})
    return entry.simulation.model_copy(update={"links": line})


def _course(entry: Entry, setting: Setting) -> Course:
    clear, spec = Publisher(FreeAccount()).clear, entry.spec
    draws = {name: generator(entry.seed, node=name, purpose="vectors") for name in setting.names}
    return Course(
        phases=0,
        local_steps=1,
        initial={name: AdapterState(spec, draw.standard_normal(spec.size, np.float32)) for name, draw in draws.items()},
        origin=AdapterState.zeros(spec),
        clear=lambda _name: clear,
        trainer=Trainer(NoEngine(), undoable=False),
        mixing=resolve(MIXINGS, setting.gossip.mixing, field="gossip.mixing")(setting.gossip),
    )


def _instants(world: World[AdapterState], until_s: float) -> Iterator[int]:
    """Bytes that all nodes had sent before, whenever all that happens at one time has happened, twice a round at most.

    What is sent in that very instant is for rounds to come.
    """
    looked, every, sent = 0, len(world.bodies) / 2, 0
    while world.advance(until_s):
        if len(world.clock) and world.clock.next_at == world.now:
            continue
        if world.reports >= looked + every:
            looked = world.reports
            yield sent
        sent = sum(body.bytes_sent for body in world.bodies.values())
    yield sent


def _spread(world: World[AdapterState]) -> Spread:
    bodies = world.bodies.values()
    up = [body.snapshot.state for body in bodies if body.up or body.finished]
    # all of them are down for a moment: where they were last
    return spread_of(up or [body.snapshot.state for body in bodies])
