"""What `gossipfl check` says of a plan beside its figures."""

from gossipfl.config.experiment import Experiment
from gossipfl.config.peers import NodeConfig
from gossipfl.privacy.plan import Plan


def what_is_protected(experiment: Experiment) -> list[str]:
    """Whose presence ε is of."""
    if experiment.privacy.level == "none":
        return []
    if experiment.privacy.releases_phases:
        absent = "ε protects all data of a node at once, as if it were absent (zero-out, sensitivity C)"
        return [f"{absent}; other data in its place is twice as far (2C); nothing is amplified by sampling"]
    if experiment.data.unit is None:
        return ["ε protects one row, not one person; data.unit names the column that says whose a row is"]
    return []


def own_models(experiment: Experiment) -> list[str]:
    """What becomes of phases behind the last exchange."""
    personal = experiment.personal
    if not personal.phases or experiment.privacy.level == "none":
        return []
    if personal.stays:
        return ["personal.stays: own models are trained without noise or charge; none may leave its node's machine"]
    return [f"personal.phases: {personal.phases} more phases of each node are in its plan, and charged"]


def if_all_are_drawn(node: NodeConfig, plan: Plan) -> list[str]:
    """Nothing is left to chance."""
    if plan.level in {"update", "correlated"} or plan.sample_rate < 1:
        return []
    return [f"{node.name}: every batch holds all of its data, {plan.units} in number: nothing is amplified by sampling"]
