"""The runs of a comparison: every arm with every seed, each a folder of its own and an experiment of its own.

base ── arm's `set` ── driver's own ── seed ──> experiment of OUTPUT/runs/ARM/seed-N
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gossipfl.config.compare import ArmConfig, CompareConfig, Driver
from gossipfl.config.loading import LoadedExperiment, change_experiment, dump_experiment
from gossipfl.config.overriding import leaves
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.report.comparison import ArmSource, Fault, TrialSource
from gossipfl.runs import run_config as drivers
from gossipfl.runs.run_directory import check_begun

FORBIDDEN = {"seed": "compare.seeds says with which seeds arms are run", "compare": "arms have no arms of their own"}
"""Fields that no arm sets, and why."""
ALONE = "gossip.protocol"
"""What makes a run one of nodes alone."""


@dataclass(frozen=True, slots=True)
class Order:
    """One run to be done.

    Attributes:
        mode: of Flower.
        loaded: the experiment.
        output: the run's folder.
    """

    arm: str
    seed: int
    driver: Driver
    mode: str
    loaded: LoadedExperiment
    output: Path

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.arm}/seed-{self.seed}"

    @property
    def is_done(self) -> bool:
        """There is a result."""
        return (self.output / "result.json").exists()

    def as_json(self) -> str:
        """What the process that runs it is given."""
        return json_text(
            {
                "arm": self.arm,
                "seed": self.seed,
                "driver": self.driver,
                "mode": self.mode,
                "experiment": self.loaded.text,
                "path": self.loaded.path.absolute(),
                "topology_folder": self.loaded.topology_folder.absolute(),
                "output": self.output.absolute(),
            }
        )


def with_table(loaded: LoadedExperiment, table: Mapping[str, object]) -> LoadedExperiment:
    """The experiment with this table in place of its own; `change_experiment` would take apart arms' names at a dot."""
    experiment = loaded.experiment.model_copy(update={"compare": CompareConfig.model_validate(table)})
    return replace(loaded, experiment=experiment, text=dump_experiment(experiment))


def table_of(loaded: LoadedExperiment) -> CompareConfig:
    """The experiment's table of arms.

    Raises:
        ConfigError: there is none.
    """
    if loaded.experiment.compare is None:
        raise ConfigError(f"{loaded.path}: compare is missing: a table of arms, each with a driver, was expected")
    return loaded.experiment.compare


def plan_orders(loaded: LoadedExperiment, output: Path) -> list[Order]:
    """All runs, seed by seed: when it is stopped, all arms have come equally far.

    Args:
        output: folder of the comparison.

    Raises:
        ConfigError: an arm's changes make no experiment.
    """
    table = table_of(loaded)
    arms = {name: _arm_experiment(loaded, name, arm) for name, arm in table.arms.items()}
    return [
        Order(
            arm=name,
            seed=seed,
            driver=arm.driver,
            mode=arm.mode or "inprocess",
            loaded=_seeded(arms[name], seed, topology=not _names_topology_seed(loaded, arm)),
            output=output / "runs" / name / f"seed-{seed}",
        )
        for seed in table.seeds
        for name, arm in table.arms.items()
    ]


def check_orders(orders: list[Order]) -> None:
    """Refuses to go on where something else began.

    Raises:
        DataError, StateError: a run's folder holds it.
    """
    for order in orders:
        check_begun(order.output, drivers.run_config(_driver(order), order.loaded.experiment))


def _driver(order: Order) -> str:
    match order.driver:
        case "fedavg":
            return drivers.fedavg(order.mode)
        case "pooled":
            return drivers.POOLED
        case "gossip" | "alone":
            return drivers.SIMULATE


def sources_of(loaded: LoadedExperiment, orders: list[Order], faults: Mapping[str, Fault]) -> Iterator[ArmSource]:
    """The arms as they were planned, for the report.

    Args:
        faults: of runs that have no result, by the order's name.
    """
    base = loaded.experiment.training
    for name, arm in table_of(loaded).arms.items():
        own = [order for order in orders if order.arm == name]
        training = own[0].loaded.experiment.training
        yield ArmSource(
            name=name,
            driver=arm.driver,
            changes={**_mode(arm), **{".".join(keys): value for keys, value in leaves(arm.set)}},
            steps=training.total_steps,
            equal_work=(training.total_steps, training.batch_size) == (base.total_steps, base.batch_size),
            trials=tuple(TrialSource(order.seed, order.output, faults.get(order.name)) for order in own),
        )


def _mode(arm: ArmConfig) -> dict[str, object]:
    return {} if arm.mode is None else {"mode": arm.mode}


def _arm_experiment(loaded: LoadedExperiment, name: str, arm: ArmConfig) -> LoadedExperiment:
    source = f"{loaded.path}: compare.arms.{name}.set"
    fields = {".".join(keys) for keys, _ in leaves(arm.set)}
    for field, reason in FORBIDDEN.items():
        if any(f"{given}.".startswith(f"{field}.") for given in fields):
            raise ConfigError(f"{source}: {field}: an arm does not set it; {reason}")
    if arm.driver == "alone" and ALONE in fields:
        raise ConfigError(f"{source}: {ALONE}: an arm of driver alone does not set it; nothing is exchanged")
    # the base's own table is no part of an arm
    made = change_experiment(loaded, {"compare": None, **arm.set}, source=source)
    return change_experiment(made, {ALONE: "alone"}, source=source) if arm.driver == "alone" else made


def _seeded(loaded: LoadedExperiment, seed: int, *, topology: bool) -> LoadedExperiment:
    changes: dict[str, object] = {"seed": seed, **({"topology.seed": seed} if topology else {})}
    return change_experiment(loaded, changes, source=str(loaded.path))


def _names_topology_seed(loaded: LoadedExperiment, arm: ArmConfig) -> bool:
    return "seed" in loaded.experiment.topology.model_fields_set or ("topology", "seed") in dict(leaves(arm.set))
