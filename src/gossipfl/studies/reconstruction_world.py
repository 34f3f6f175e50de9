"""A simulated network whose nodes exchange combinations of contributions instead of adapters.

The protocol, its schedule and its weather are the experiment's; a phase of training adds one contribution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gossipfl.config.experiment import MIXING_PROTOCOLS
from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.core.events import Event, Received, Summed, Train, Trained
from gossipfl.core.knowledge import Combination, Floats
from gossipfl.core.messages import Packet, Receipt
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.protocol import Parts
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import ConfigError
from gossipfl.privacy.account import FreeAccount
from gossipfl.privacy.publishing import Publisher
from gossipfl.sim.averaging import averaging_setting
from gossipfl.sim.network import Weighed
from gossipfl.sim.nodes import Setting, build_world, generators_of, schedule_for
from gossipfl.sim.trainers import Moments, Trainer
from gossipfl.sim.training import training_setting
from gossipfl.studies.reconstruction_sums import Summing

MESSAGE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Contributions:
    """What all nodes contribute.

    Attributes:
        phases: of training; 0: nodes start with their only contribution.
        values: (nodes, contributions of each), as nodes publish them.
    """

    phases: int
    values: Floats

    @property
    def unknowns(self) -> int:
        """Contributions of all nodes."""
        return self.values.size

    def places(self, node: int) -> slice:
        """Where a node's contributions are among the unknowns."""
        each = self.values.shape[1]
        return slice(node * each, (node + 1) * each)

    def one(self, node: int, phase: int) -> Combination:
        """A contribution by itself."""
        return Combination.of_one(self.places(node).start + phase, self.unknowns, float(self.values[node, phase]))

    def start(self, node: int) -> Combination:
        """Where a node starts."""
        return Combination.zero(self.unknowns) if self.phases else self.one(node, 0)

    def without(self, node: int, seen: Combination) -> Combination:
        """A combination less what a node has contributed itself."""
        own = self.places(node)
        coefficients = seen.coefficients.copy()
        coefficients[own] = 0.0
        return Combination(coefficients, seen.value - float(seen.coefficients[own] @ self.values[node]))


class Contributing:
    """Training: each phase adds the node's next contribution; an engine of `sim.trainers`."""

    def __init__(self, names: Sequence[str], contributed: Contributions) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._contributed = contributed

    def compute(self, phases: Sequence[tuple[str, Train[Combination]]]) -> list[Trained[Combination]]:
        """Where the phases lead."""
        return [self._trained(name, phase) for name, phase in phases]

    def moments(self, node: str) -> Moments:  # noqa: ARG002  # an optimizer there is not
        """None."""
        return {}

    def restore(self, node: str, moments: Moments) -> None:
        """Nothing to take over."""

    def _trained(self, name: str, phase: Train[Combination]) -> Trained[Combination]:
        after = phase.snapshot + self._contributed.one(self._places[name], phase.version)
        return Trained(phase.version, after, phase.steps, 1.0, Receipt(epsilon=math.inf))


def setting_of(loaded: LoadedExperiment | LoadedAveraging) -> Setting:
    """The network, with states traveling as they are.

    Raises:
        ConfigError: the protocol exchanges more than states.
    """
    if isinstance(loaded, LoadedAveraging):
        setting = averaging_setting(loaded.experiment, loaded.folder)
    else:
        setting = training_setting(loaded)
    if setting.gossip.protocol not in MIXING_PROTOCOLS:
        raise ConfigError(
            f"gossip.protocol {setting.gossip.protocol}: the attack knows what is learned from states; "
            f"one of {', '.join(sorted(MIXING_PROTOCOLS))} was expected"
        )
    return replace(setting, gossip=setting.gossip.model_copy(update={"codec": "fp32"}))


def seen_by_all(setting: Setting, contributed: Contributions) -> dict[str, list[Combination]]:
    """Runs the network to its end; every state, under protection every mean of its neighbors, that each node learns."""
    names, schedule, generators = setting.names, schedule_for(setting), generators_of(setting)
    seen: dict[str, list[Combination]] = {name: [] for name in names}
    sums_only = setting.protection.sums_only

    def note(name: str, event: Event[Combination]) -> None:
        match event:
            case Received(state=state):
                seen[name].append(state)
            case Summed(mean=Combination() as mean):
                seen[name].append(mean)
            case _:
                pass

    def guard(name: str, _life: int) -> Summing:
        return Summing(name, schedule, contributed.unknowns)

    parts = {
        name: Parts(
            name=name,
            schedule=schedule,
            mixing=Weighted[Combination](),
            gossip=setting.gossip,
            phases=contributed.phases,
            local_steps=1,
            clear=Publisher(FreeAccount()).clear,
            seed=setting.seed,
            sums_only=sums_only,
            snapshot=Snapshot(state=contributed.start(place)),
        )
        for place, name in enumerate(names)
    }
    trainer = Trainer[Combination](Contributing(names, contributed), undoable=False)
    guards = guard if sums_only else None
    world = build_world(setting, parts, generators, trainer=trainer, weigh=_weigh, guard=guards)
    world.on_event = note
    world.run()
    return seen


def _weigh(_sender: str, _packet: Packet[Combination]) -> Weighed:
    return Weighed(MESSAGE_BYTES, MESSAGE_BYTES, MESSAGE_BYTES)
