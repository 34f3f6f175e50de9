"""What `gossipfl check` says of a plan beside its figures."""

from collections.abc import Sequence

from gossipfl.config.experiment import Experiment
from gossipfl.config.peers import NodeConfig
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.plan import Plan, epsilon_if_replaced


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


def if_replaced(node: NodeConfig, plan: Plan, before: Sequence[Charge]) -> list[str]:
    """ε of other readings, where all data of a node is protected at once.

    Args:
        before: what its account has been charged already.
    """
    if plan.level not in {"update", "correlated"}:
        return []
    other = epsilon_if_replaced(plan, before)
    notes = [f"{node.name}: ε = {plan.epsilon:.4g} against its data being absent, {other:.4g} against other data"]
    exposed = plan.exposed(plan.steps)
    if exposed is not None:
        seen = ", ".join(f"{epsilon:.4g} for {adversary}" for adversary, epsilon in exposed.items())
        notes.append(f"{node.name}: of this run ε = {seen}, other nodes being honest; the account has the last")
    return notes
