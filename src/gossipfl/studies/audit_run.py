"""One simulated run with canaries in one node's data, and what nodes at several distances saw of it.

The nodes' learners, mechanisms, protocols and network are those of `gossipfl simulate`, one node at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gossipfl.config.audit import AuditConfig
from gossipfl.config.growing import refuse_periods
from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.events import Event
from gossipfl.errors import ConfigError
from gossipfl.learning.bench import Bench
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite, NodeRecords
from gossipfl.learning.planted import PlantedBench, Planting, dealt, plant, planted_bench
from gossipfl.learning.resident import Resident
from gossipfl.privacy import accounting
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.plan import Plan, epsilon_if_replaced
from gossipfl.runs.fleet import build_fleet, ordinary_bench
from gossipfl.runs.simulated_books import simulated_books
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.nodes import Setting, build_world, generators_of, guards_of, node_parts, schedule_for, weigher
from gossipfl.sim.training import training_course, training_setting, training_with
from gossipfl.state import AdapterState
from gossipfl.studies.audit_views import Observer, Sight, Watcher, observers_of

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lots:
    """Who is in, in one run.

    Attributes:
        name: tells its noise and batches from those of other runs of the same seed.
        included: (canaries,) of the canaries.
        members: (pool,) of the records for membership inference.
    """

    name: str
    included: Flags
    members: Flags


@dataclass(frozen=True, slots=True)
class AuditRun:
    """What came of a run.

    Attributes:
        lots: who was in.
        steps: (steps, canaries) what the mechanism let out, see `WatchedMechanism`.
        height: of a gradient canary after clipping, over the clipping norm.
        sights: of every observer.
        plan: of the owner; None without privacy.
        epsilon: what the owner's charges cost, of one of its records, at `audit.delta` or the plan's; None without
            privacy.
        charged, payable: steps (at level update phases) that were paid for, and that were let out.
    """

    lots: Lots
    steps: Floats
    height: float
    sights: tuple[Sight, ...]
    plan: Plan | None
    epsilon: float | None
    charged: int
    payable: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What the runs of an audit share.

    Attributes:
        loaded: the experiment.
        config: its section `audit`.
        owner: whose data holds the canaries.
        observers: who guesses.
    """

    loaded: LoadedExperiment
    config: AuditConfig
    owner: str
    observers: tuple[Observer, ...]

    @property
    def classifies(self) -> bool:
        """A record's loss is −log p of one label."""
        return self.loaded.experiment.task.labels_records

    @property
    def setting(self) -> Setting:
        """The network."""
        return training_setting(self.loaded)

    def run(self, lots: Lots) -> AuditRun:
        """One run, in which these are in.

        Raises:
            UserError: whatever is wrong with data, model, privacy plan or network.
        """
        planter = _Planter(self, lots)
        experiment, setting = self.loaded.experiment, self.setting
        fleet = build_fleet(experiment, setting.roster, setting.names, equip=planter.equip)
        training = training_with(experiment, setting, fleet, LoopEngine(fleet))
        course = training_course(experiment, setting, training)
        generators = generators_of(setting)
        schedule = schedule_for(setting)
        parts = node_parts(setting, schedule, course)
        guard = guards_of(setting, schedule, course)
        world = build_world(setting, parts, generators, trainer=course.trainer, weigh=weigher(setting), guard=guard)
        watchers = [Watcher(observer, world, planter.planted, self.owner) for observer in self.observers]

        def note(name: str, event: Event[AdapterState]) -> None:
            for watcher in watchers:
                watcher.note(name, event)

        world.on_event = note
        world.run(setting.simulation.until_s or math.inf)
        return _came_to(planter.planted, lots, [watcher.sight() for watcher in watchers], delta=self.config.delta)


def set_stage(loaded: LoadedExperiment) -> Stage:
    """Who has the canaries, and who guesses.

    Raises:
        ConfigError: the experiment plants none, lets data come later, there is no such owner, or nobody so far from it.
    """
    config, setting = loaded.experiment.audit, training_setting(loaded)
    if config is None or not config.canaries:
        said = "it has no section audit" if config is None else "audit.canaries is 0"
        raise ConfigError(
            f"{loaded.path}: a run without canaries cannot be audited, and {said}; audit: {{canaries: 200}} (or --set "
            "audit.canaries=200) plants some"
        )
    if loaded.experiment.adapter.mixed_ranks:
        raise ConfigError(f"{loaded.path}: adapter.mixed_ranks: states of one layout were expected by the audit")
    refuse_periods(loaded.experiment)
    owner = config.owner or setting.names[0]
    if owner not in setting.names:
        raise ConfigError(f"{loaded.path}: audit.owner {owner!r} is no node; they are {', '.join(setting.names)}")
    return Stage(loaded, config, owner, observers_of(config, owner, schedule_for(setting)))


class _Planter:
    """Makes the benches of a run, the owner's with canaries."""

    def __init__(self, stage: Stage, lots: Lots) -> None:
        self._stage = stage
        self._lots = lots
        self._planted: list[PlantedBench] = []

    @property
    def planted(self) -> PlantedBench:
        """The owner's bench."""
        return self._planted[0]

    def equip(self, resident: Resident, site: DataSite, records: NodeRecords, terms: RunTerms) -> Bench:
        """See `Equip`."""
        terms = replace(terms, lot=self._lots.name)
        if site.node != self._stage.owner:
            return ordinary_bench(resident, site, records, terms)
        planting = self._planting(records)
        present = dealt(planting, self._lots.included, self._lots.members)
        books = simulated_books(resident.adapted.experiment, planting.records, terms.pairs)
        self._planted.append(planted_bench(resident, site, planting, terms, books=books, present=present))
        return self.planted.bench

    def _planting(self, records: NodeRecords) -> Planting:
        config, experiment = self._stage.config, self._stage.loaded.experiment
        counts = (config.canaries, config.members)
        return plant(records, config.kind, counts, labels=len(experiment.task.labels), seed=experiment.seed)


def _came_to(planted: PlantedBench, lots: Lots, sights: Sequence[Sight], *, delta: float | None) -> AuditRun:
    bench, watched = planted.bench, planted.watched
    charges = bench.account.charges()
    charged = sum(charge.steps for charge in charges)
    return AuditRun(
        lots=lots,
        steps=np.array(watched.seen),
        height=planted.height,
        sights=tuple(sights),
        plan=bench.plan,
        epsilon=None if bench.plan is None else _claimed(bench.plan, charges, delta or bench.plan.delta),
        # nothing is paid for without privacy
        charged=watched.payable if bench.plan is None else charged,
        payable=watched.payable,
    )


def _claimed(plan: Plan, charges: Sequence[Charge], delta: float) -> float:
    """ε of one record being there or not, by what was charged: no more than a guess at the same δ may show."""
    if plan.level != "example":
        # the clipped change of a phase may turn round: it moves by 2C, as when all data is replaced
        return epsilon_if_replaced(replace(plan, delta=delta, steps=0), charges)
    return accounting.epsilon(charges, delta, plan.accountant)
