"""What the runs of the study of choices say, as markdown.

steps to 90%: of the best arm's accuracy, at the first evaluation at which the node that was looked at has it
"""

from collections.abc import Callable, Sequence

from gossipfl.report import compare_cells as cells
from gossipfl.report.comparing import steps_to_goal
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import Measure
from gossipfl.report.statistics import estimate, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.medical_choices_arms import ADAPTERS, CODECS, CODED, TOPOLOGIES, Arm

SHARE = 0.9
Cell = Callable[[ArmSummary], str]


def reading(found: Comparison) -> str:
    """A table a figure, topologies by adapters, and one of codecs; arms without a run are left out."""
    arms = {arm.name: arm for arm in found.arms}
    best = max((arm.figures["mean_node"].mean or 0.0 for arm in found.arms), default=0.0)
    figures: dict[str, Cell] = {
        "Accuracy at the end, mean over the nodes, mean ± deviation over seeds": lambda arm: cells.cell(
            arm, "mean_node"
        ),
        "Accuracy of the worst node": lambda arm: cells.cell(arm, "worst_node"),
        "Accuracy of the mean model": lambda arm: cells.cell(arm, "mean_model"),
        "Bytes a node": lambda arm: cells.cell(arm, "bytes_per_node"),
        f"Steps to {SHARE:.0%} of the best arm's accuracy ({best:.3f})": lambda arm: _steps(arm, SHARE * best),
    }
    parts = [part for text, cell in figures.items() for part in (text, _grid(arms, cell))]
    return "\n\n".join([*parts, "Codecs, on the ring", _codecs(arms, figures), _against(arms)]) + "\n"


def _grid(arms: dict[str, ArmSummary], cell: Cell) -> str:
    rows = [[topology, *(_cell(arms, Arm(topology, adapter), cell) for adapter in ADAPTERS)] for topology in TOPOLOGIES]
    return markdown_table(["", *ADAPTERS], rows)


def _codecs(arms: dict[str, ArmSummary], figures: dict[str, Cell]) -> str:
    wanted = [Arm("ring", adapter, codec) for adapter in CODED for codec in ("fp32", *CODECS)]
    rows = [[arm.name, *(_cell(arms, arm, cell) for cell in figures.values())] for arm in wanted]
    return markdown_table(["arm", "mean node", "worst node", "mean model", "bytes a node", "steps to 90%"], rows)


def _cell(arms: dict[str, ArmSummary], wanted: Arm, cell: Cell) -> str:
    arm = arms.get(wanted.name)
    if arm is None:
        return "not run"
    if not arm.done:
        return next(iter(arm.faults.values())).status
    lost = len(arm.trials) - len(arm.done)
    return cell(arm) + (f" ({len(arm.done)} of {len(arm.trials)} seeds)" if lost else "")


def _steps(arm: ArmSummary, goal: float) -> str:
    measure = Measure("test", "accuracy")
    steps = [steps_to_goal(done.run, measure, goal) for done in arm.done.values()]
    reached = estimate(steps)
    if not reached.count or reached.mean is None:
        return "never"
    return f"{reached.mean:.0f}" + ("" if reached.count == len(steps) else f" ({reached.count} of {len(steps)} seeds)")


def _against(arms: dict[str, ArmSummary]) -> str:
    """Adapter core beside lora on every topology, paired by seed."""
    rows: list[Sequence[str]] = []
    for topology in TOPOLOGIES:
        pair = [arms.get(Arm(topology, adapter).name) for adapter in ("core", "lora")]
        core, lora = pair
        if core is None or lora is None or not core.done or not lora.done:
            continue
        apart = [paired_difference(core.values(name), lora.values(name)) for name in ("mean_node", "mean_model")]
        sent = [arm.figures["bytes_per_node"].mean or float("nan") for arm in (lora, core)]
        rows.append((topology, *(cells.difference(one) for one in apart), f"{sent[0] / sent[1]:.1f}"))
    head = ("core minus lora", "mean node [95%]", "mean model [95%]", "times fewer bytes")
    return markdown_table(head, rows)
