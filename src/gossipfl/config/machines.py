"""Machines of their own: the experiment as one node has it."""

from collections.abc import Mapping

from pydantic import ValidationError

from gossipfl.config.experiment import Experiment
from gossipfl.config.explain import explain
from gossipfl.config.machine import MachineConfig
from gossipfl.config.named_nodes import refuse_strangers
from gossipfl.errors import ConfigError

_TRAINING = ("batch_size", "micro_batch", "local_steps", "local_seconds", "precision", "device", "threads")


def on_machine(experiment: Experiment, machine: MachineConfig, *, field: str) -> Experiment:
    """The experiment as a node trains it; `training.common_steps` keeps what a phase is for all.

    Args:
        field: where the machine stands, for the error.

    Raises:
        ConfigError: what comes out makes no sense; one line.
    """
    own = {name: value for name in _TRAINING if (value := getattr(machine, name)) is not None}
    if not own and machine.dtype is None:
        return experiment
    raw = experiment.model_dump()
    raw["training"] = {**raw["training"], "common_steps": experiment.training.counted_steps, **own}
    if machine.dtype is not None:
        common = experiment.model.head_dtype or experiment.model.dtype
        raw["model"] = {**raw["model"], "dtype": machine.dtype, "head_dtype": common}
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{field}: with it {explain(error, Experiment)}") from None


def simulated_machines(experiment: Experiment) -> dict[str, Experiment]:
    """The experiment as each node of a simulation has it.

    Raises:
        ConfigError: see `on_machine`; or a machine is of nobody.
    """
    simulation = experiment.simulation
    refuse_strangers(simulation.machines, simulation.names, field="simulation.machines")
    # fleets of thousands have a few kinds of machines
    known: dict[MachineConfig, Experiment] = {}
    for name, machine in simulation.machines.items():
        if machine not in known:
            known[machine] = on_machine(experiment, machine, field=f"simulation.machines.{name}")
    machines = simulation.machines
    return {name: known[machines[name]] if name in machines else experiment for name in simulation.names}


def own_values(machine: MachineConfig) -> Mapping[str, object]:
    """What is the machine's own, by key."""
    return machine.model_dump(mode="json", exclude_defaults=True)
