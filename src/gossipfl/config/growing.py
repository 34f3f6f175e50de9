"""Data that comes while nodes train (`data.watch`, `simulation.periods`), and what it does not go with.

Refused is what would change whose account pays for what, or by how much, in a way that is not worked out.
"""

from typing import TYPE_CHECKING

from gossipfl.errors import ConfigError

if TYPE_CHECKING:
    # it imports this module
    from gossipfl.config.experiment import Experiment


def check_growing(experiment: "Experiment") -> None:
    """Whether an experiment lets data come while nodes train.

    Raises:
        ValueError: something in it needs data that stays as it is; one line with the reason.
    """
    if experiment.data.watch:
        _check_watched(experiment)
    if experiment.simulation.periods is not None:
        _check_periods(experiment)
    if experiment.data.watch or experiment.simulation.periods is not None:
        _check_merged(experiment)


def refuse_periods(experiment: "Experiment") -> None:
    """For drivers in which all data is there from the beginning.

    Raises:
        ConfigError: it is not.
    """
    if experiment.simulation.periods is not None:
        raise ConfigError("simulation.periods: only gossipfl simulate lets data come while nodes train")


def _check_watched(experiment: "Experiment") -> None:
    if experiment.personal.phases:
        raise ValueError(
            "data.watch does not go with personal.phases: a node's own model is made of data that stays as it is"
        )
    if experiment.privacy.level == "correlated":
        raise ValueError(
            "data.watch: privacy.level none, example or update was expected, not correlated: more data changes a "
            "node's noise, and its neighbors share the noise of before"
        )
    if experiment.training.local_seconds is not None and experiment.privacy.level != "none":
        raise ValueError(
            "data.watch with privacy does not go with training.local_seconds: how many steps fit into a time would "
            "change, for all to see, with how much data has come; set local_steps"
        )


def _check_periods(experiment: "Experiment") -> None:
    simulation = experiment.simulation
    if experiment.data.source is None:
        raise ValueError("simulation.periods: pieces of data.source, which is not given")
    if experiment.data.canaries is not None or simulation.attackers.poisons:
        raise ValueError("simulation.periods does not go with data.canaries or attackers that alter records")
    if experiment.privacy.level == "correlated":
        raise ValueError("simulation.periods: privacy.level none, example or update was expected, not correlated")
    if simulation.engine == "ray":
        raise ValueError("simulation.periods: simulation.engine auto, loop or batched was expected, not ray")
    others = (
        ("data.tokens mapped", experiment.data.tokens == "mapped"),
        ("personal.phases", experiment.personal.phases),
        ("training.local_seconds", experiment.training.local_seconds),
        ("simulation.machines", simulation.machines),
    )
    for field, value in others:
        if value:
            raise ValueError(f"simulation.periods does not go with {field}: leave one of them out")


def _check_merged(experiment: "Experiment") -> None:
    training, merge = experiment.training, experiment.adapter.merge
    if training.continual == "merged" and merge != "factors":
        raise ValueError(
            f"training.continual merged: adapter.merge factors was expected, not {merge}, which gives a node other "
            "factors with every mixing: what the newest period's are off from the mean would mean nothing to them"
        )
