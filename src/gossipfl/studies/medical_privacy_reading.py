"""What the runs of the study of privacy say, as markdown."""

from collections.abc import Mapping, Sequence

from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.statistics import paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.medical_privacy_arms import (
    ADAPTERS,
    ALONE,
    CENTRAL,
    EPSILONS,
    FEDAVG,
    NETWORKS,
    Arm,
    extras_of,
    titled,
)

Arms = Mapping[str, ArmSummary]
UNITS = (
    "ε: of one definition of one node against everybody, by the node's own noise. fedavg-central: of all definitions "
    "of a node together, against whoever sees the server's models, the server being trusted; the two are no scale."
)


def reading(found: Sequence[Comparison]) -> str:
    """Accuracy by network and ε of the grid, what averaging is worth beside being alone, and the extras, seed by seed.

    Args:
        found: the grid and the extras.
    """
    grid, extras = ({arm.name: arm for arm in one.arms} for one in found)
    parts = [_table(grid), UNITS, _against_alone(grid), _extras(grid | extras)]
    return "\n\n".join(parts) + "\n"


def _table(arms: Arms) -> str:
    rows = [
        [f"{network}, {adapter}", *(_cell(arms, Arm(network, adapter, eps)) for eps in EPSILONS)]
        for adapter in ADAPTERS
        for network in NETWORKS
    ]
    return markdown_table(["accuracy of the mean node", *map(titled, EPSILONS)], rows)


def _cell(arms: Arms, wanted: Arm) -> str:
    arm = arms.get(wanted.name)
    if arm is None:
        return "not run"
    if not arm.done:
        return next(iter(arm.faults.values())).status
    counted = "" if len(arm.done) == len(arm.trials) else f" ({len(arm.done)} of {len(arm.trials)} seeds)"
    return cells.cell(arm, "mean_node") + counted


def _against_alone(arms: Arms) -> str:
    """Every network beside nodes alone, paired by seed."""
    rows = [
        [f"{network}, {adapter}", *(_difference(arms, network, adapter, eps) for eps in EPSILONS)]
        for adapter in ADAPTERS
        for network in NETWORKS
        if network != ALONE
    ]
    return markdown_table(["minus alone [95%]", *map(titled, EPSILONS)], rows)


def _difference(arms: Arms, network: str, adapter: str, epsilon: float) -> str:
    pair = [arms.get(Arm(one, adapter, epsilon).name) for one in (network, ALONE)]
    together, alone = pair
    if together is None or alone is None or not together.done or not alone.done:
        return cells.NOTHING
    return cells.difference(paired_difference(together.values("mean_node"), alone.values("mean_node")))


def _extras(arms: Arms) -> str:
    """One seed: each beside the arm of three seeds that it varies."""
    rows = [
        [
            arm.name,
            _cell(arms, arm),
            _cell(arms, _varied(arm)),
        ]
        for arm in extras_of()
    ]
    return markdown_table(["one seed", "mean node", "lora or core on the ring, or fedavg with local noise"], rows)


def _varied(arm: Arm) -> Arm:
    # ffa is lora with half of it frozen
    adapter = "lora" if arm.adapter == "ffa" else arm.adapter
    return Arm(FEDAVG if arm.network == CENTRAL else "ring", adapter, arm.epsilon)
