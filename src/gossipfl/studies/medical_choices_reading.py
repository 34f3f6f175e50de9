"""What the runs of the study of choices say, as markdown.

steps to 90%: of the best arm's accuracy, at the first evaluation at which the node whose turn it was has it, and at
which the mean model has it
"""

from collections.abc import Callable, Sequence
from statistics import mean

from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import first_where
from gossipfl.report.recorded import RecordedRun
from gossipfl.report.statistics import paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.studies.medical_choices_arms import TOPOLOGIES, Arm, arms_of

SHARE = 0.9
Cell = Callable[[ArmSummary], str]


def reading(found: Comparison) -> str:
    """A row an arm, mean ± deviation over the seeds; and core beside lora, topology by topology."""
    arms = {arm.name: arm for arm in found.arms}
    best = max((arm.figures["mean_node"].mean or 0.0 for arm in found.arms), default=0.0)
    columns: dict[str, Cell] = {
        "accuracy, mean node": lambda arm: cells.cell(arm, "mean_node"),
        "worst node": lambda arm: cells.cell(arm, "worst_node"),
        "mean model": lambda arm: cells.cell(arm, "mean_model"),
        "bytes a node": lambda arm: cells.cell(arm, "bytes_per_node"),
        f"steps to {SHARE * best:.3f}, node / mean model": lambda arm: _steps(arm, SHARE * best),
    }
    rows = [[_named(arms, arm), *(_cell(arms, arm, cell) for cell in columns.values())] for arm in arms_of()]
    return f"{markdown_table(['arm', *columns], rows)}\n\n{_against(arms)}\n"


def _named(arms: dict[str, ArmSummary], wanted: Arm) -> str:
    """The arm, and how many of its seeds there are where some have no result."""
    arm = arms.get(wanted.name)
    if arm is None or not arm.done or len(arm.done) == len(arm.trials):
        return wanted.name
    return f"{wanted.name} ({len(arm.done)} of {len(arm.trials)} seeds)"


def _cell(arms: dict[str, ArmSummary], wanted: Arm, cell: Cell) -> str:
    arm = arms.get(wanted.name)
    if arm is None:
        return "not run"
    return cell(arm) if arm.done else next(iter(arm.faults.values())).status


def _steps(arm: ArmSummary, goal: float) -> str:
    runs = [done.run for done in arm.done.values()]
    return " / ".join(_first(runs, column, goal) for column in ("test_accuracy", "mean_model_accuracy"))


def _first(runs: Sequence[RecordedRun], column: str, goal: float) -> str:
    """Mean over those that have it, and how many have not."""
    found = [first_where(run, column, lambda value: value is not None and value >= goal) for run in runs]
    steps = [summary.step for summary in found if summary is not None]
    if not steps:
        return "never"
    return f"{mean(steps):.0f}" + (f" ({len(steps)} of {len(runs)})" if len(steps) < len(runs) else "")


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
