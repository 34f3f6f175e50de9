"""Simulated training: the course of every node, its engine, and what of both a checkpoint holds."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment
from gossipfl.config.membership import check_dynamic
from gossipfl.core.factors import pairs_of, update_distance
from gossipfl.core.mixing import build_mixing
from gossipfl.core.mixing.blocks import block_distance, mean_of_blocks
from gossipfl.core.tables import resolve
from gossipfl.learning.together import nodes_at_once
from gossipfl.privacy.grouped.gradients import grouping_problem
from gossipfl.runs.fleet import Fleet, build_fleet, own_experiments
from gossipfl.runs.spread import mean_by, spread_of, spread_of_updates
from gossipfl.sim.crew import Crew
from gossipfl.sim.engines.auto import AutoEngine
from gossipfl.sim.engines.batched import BatchedEngine
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.nodes import Course, Setting
from gossipfl.sim.trainers import Engine, Trainer
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)


class SimEngine(Engine[AdapterState], Protocol):
    """An engine of the table."""

    @property
    def name(self) -> str:
        """In the result; of `auto` what it has chosen, empty before."""
        ...


class BuildEngine(Protocol):
    """How an engine offers itself to the table."""

    def __call__(self, experiment: Experiment, setting: Setting) -> tuple[Crew, SimEngine]:
        """The nodes' learners, and what trains them."""
        ...


def loop(experiment: Experiment, setting: Setting) -> tuple[Crew, SimEngine]:
    """One at a time, in this process."""
    fleet = build_fleet(experiment, setting.roster, setting.names)
    return fleet, LoopEngine(fleet)


def batched(experiment: Experiment, setting: Setting) -> tuple[Crew, SimEngine]:
    """All in one pass; one at a time where the model, or dropout, does not allow that."""
    return _grouped(experiment, setting, BatchedEngine)


def auto(experiment: Experiment, setting: Setting) -> tuple[Crew, SimEngine]:
    """The quicker one in this process, measured at the first phases."""
    return _grouped(experiment, setting, AutoEngine)


def ray(experiment: Experiment, setting: Setting) -> tuple[Crew, SimEngine]:
    """One at a time in each of several processes."""
    from gossipfl.sim.executor import Cluster  # noqa: PLC0415  # the one door to Ray

    cluster = Cluster(experiment, setting, address=setting.simulation.address)
    return cluster, cluster


ENGINES: Mapping[str, BuildEngine] = {"loop": loop, "batched": batched, "ray": ray, "auto": auto}
"""By the name in `simulation.engine`."""


@dataclass(frozen=True, slots=True)
class Training:
    """What trains in a run; see `running.Engines`.

    Attributes:
        personal: each node has a model of its own in the end.
    """

    names: Sequence[str]
    crew: Crew
    engine: SimEngine
    trainer: Trainer[AdapterState]
    personal: bool = False

    def state(self) -> dict[str, Any]:
        """Moments, accounts and phases under way.

        Those not computed yet stay so: which are computed in one pass decides their last bits.
        """
        return {
            "engine": self.engine.name,
            "moments": {name: self.engine.moments(name) for name in self.names},
            "accounts": self.crew.accounts(),
            "pending": self.trainer.pending,
            "left": self.trainer.left,
            "arrived": self.crew.arrived() if isinstance(self.crew, Fleet) else {},
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401  # what `state` gave
        """Takes over what `state` gave."""
        if isinstance(self.engine, AutoEngine):
            self.engine.take(state["engine"])
        if isinstance(self.crew, Fleet):
            # before moments and accounts, which are those of all that has come
            self.crew.restore_arrived(state.get("arrived", {}))
        for name, moments in state["moments"].items():
            self.engine.restore(name, moments)
        self.crew.restore_accounts(state["accounts"])
        self.trainer.pending, self.trainer.left = state["pending"], state["left"]


def training_setting(loaded: LoadedExperiment) -> Setting:
    """The experiment's network."""
    experiment = loaded.experiment
    return Setting(
        experiment.seed,
        experiment.topology,
        experiment.gossip,
        experiment.simulation,
        loaded.folder,
        experiment.protection,
    )


def build_training(experiment: Experiment, setting: Setting) -> Training:
    """Data, model, accounts and engine of all nodes.

    Raises:
        UserError: whatever is wrong with them.
    """
    if setting.simulation.availability.joins:
        # what a real federation refuses of newcomers
        check_dynamic(experiment, source="simulation.availability.joins")
    crew, engine = resolve(ENGINES, setting.simulation.engine, field="simulation.engine")(experiment, setting)
    return training_with(experiment, setting, crew, engine)


def training_with(experiment: Experiment, setting: Setting, crew: Crew, engine: SimEngine) -> Training:
    """What trains in a run, by an engine that is there already."""
    availability = setting.simulation.availability
    undoable = availability.kind != "always" or bool(availability.joins)
    # processes of their own have caches of their own
    at_once = nodes_at_once(crew.resident.adapted) if isinstance(crew, Fleet) else sys.maxsize
    keeps = experiment.adapter.merge == "factors" and bool(pairs_of(crew.initial.spec))
    trainer = Trainer(engine, at_once=at_once, undoable=undoable, keeps=keeps)
    return Training(setting.names, crew, engine, trainer, bool(experiment.personal.phases))


def training_course(experiment: Experiment, setting: Setting, training: Training) -> Course:
    """What every node does."""
    adapter = experiment.adapter
    mixing = build_mixing(experiment.gossip, adapter, training.crew.initial)
    blocks = adapter.kind == "core"
    of_updates = partial(
        spread_of_updates,
        average=partial(mean_of_blocks, scale=adapter.scale) if blocks else partial(mean_by, mixing),
        distance=partial(block_distance if blocks else update_distance, scale=adapter.scale),
    )
    plain = adapter.merge == "factors" and not adapter.mixed_ranks
    return Course(
        phases=experiment.training.phases,
        local_steps=experiment.training.local_steps,
        initial={name: training.crew.start(name) for name in setting.names},
        origin=training.crew.initial.sharing(),
        clear=training.crew.clear,
        trainer=training.trainer,
        mixing=mixing,
        spread=spread_of if plain else of_updates,
        own={name: own.training for name, own in own_experiments(experiment, setting.names).items()},
    )


def _grouped(
    experiment: Experiment, setting: Setting, make: type[BatchedEngine] | type[AutoEngine]
) -> tuple[Crew, SimEngine]:
    fleet = build_fleet(experiment, setting.roster, setting.names)
    problem = _problem(fleet, experiment)
    if problem:
        logger.warning("engine loop instead of batched: %s", problem)
        return fleet, LoopEngine(fleet)
    return fleet, make(fleet, most_rows=setting.simulation.most_rows)


def _problem(fleet: Fleet, experiment: Experiment) -> str:
    if experiment.training.dropout:
        return "training.dropout is drawn for one node at a time"
    if experiment.adapter.mixed_ranks:
        return "adapter.mixed_ranks gives nodes models of their own"
    if len({id(bench.adapted.module) for bench in fleet.benches.values()}) > 1:
        return "simulation.machines give nodes models in other types of numbers"
    if fleet.resident.adapted.parts.folds:
        return f"adapter.merge {experiment.adapter.merge} gives each node frozen weights of its own"
    bench = next(iter(fleet.benches.values()))
    rows = next(bench.data.train.rows_in_order(1))
    return grouping_problem(fleet.resident.adapted.module, fleet.resident.task.losses, rows)
