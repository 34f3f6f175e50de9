"""Ranks of their own: which node has which, and where that makes sense."""

from collections.abc import Mapping

from gossipfl.config.experiment import Experiment
from gossipfl.config.named_nodes import refuse_strangers
from gossipfl.errors import ConfigError


def ranks_of(experiment: Experiment, own: Mapping[str, int | None], *, field: str) -> dict[str, int]:
    """The rank of every node's adapter; a node without one of its own has `adapter.rank`.

    Args:
        own: by node.
        field: where they stand, for the error.

    Raises:
        ConfigError: a node has one, and the experiment does not say that it may.
    """
    named = {name: rank for name, rank in own.items() if rank is not None}
    if named and not experiment.adapter.mixed_ranks:
        name, rank = next(iter(named.items()))
        raise ConfigError(f"{field}: {name!r} has rank {rank}; set adapter.mixed_ranks if nodes may differ")
    return {name: named.get(name, experiment.adapter.rank) for name in own}


def simulated_ranks(experiment: Experiment) -> dict[str, int]:
    """Those of a simulation's nodes.

    Raises:
        ConfigError: see `ranks_of`; or a rank is of nobody.
    """
    simulation = experiment.simulation
    refuse_strangers(simulation.ranks, simulation.names, field="simulation.ranks")
    return ranks_of(
        experiment, {name: simulation.ranks.get(name) for name in simulation.names}, field="simulation.ranks"
    )


def at_rank(experiment: Experiment, rank: int) -> Experiment:
    """The experiment as a node of a rank has it."""
    if rank == experiment.adapter.rank:
        return experiment
    return experiment.model_copy(update={"adapter": experiment.adapter.model_copy(update={"rank": rank})})
