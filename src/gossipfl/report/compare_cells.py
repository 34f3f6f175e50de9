"""What stands in the cells of a comparison's tables, in the terminal and on the page."""

import json

from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.statistics import Difference, Estimate

NOTHING = "–"
AGAINST = {"step": "steps", "bytes_per_node": "bytes", "virtual_s": "virtual time"}
"""Title of each curve by its key of metrics.jsonl."""
LINES = (
    "Thin lines are single seeds, the bold line is their mean; a dotted line is the end of an arm that has no place on "
    "the axis."
)
BYTES = (
    "Bytes a node: all tensors on the wire, each message counted once, divided by the nodes; from node to node in "
    "gossip, to the server and back under FedAvg. Alone and pooled exchange nothing; for pooled all data would have to "
    "move."
)
DESCRIPTIONS = {
    **dict.fromkeys(AGAINST, LINES),
    "epsilon": "A point a run. Filled: each node's own noise; hollow: noise of a trusted server or owner of all data, "
    "another promise. Dotted: no noise.",
    "differences": "Mean over the seeds and its 95% interval, paired by seed. An interval across zero tells nothing "
    "apart.",
}
"""What each picture of the page shows."""
COLUMNS = {
    "mean_node": "mean node",
    "worst_node": "worst node",
    "mean_model": "mean model",
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "chrf": "chrF",
    "macro_f1": "macro-F1",
    "epsilon": "ε",
    "bytes_per_node": "bytes a node",
    "steps": "steps a node",
    "steps_to_goal": "steps to goal",
    "virtual_s": "virtual s",
    "seconds": "real s",
}
"""Heads of the table by the figure's name."""
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def columns(comparison: Comparison) -> dict[str, str]:
    """Those that there is something to say in: steps to the goal only with one, measures that a run has recorded."""
    left_out = {"steps_to_goal"} if comparison.terms.goal is None else set()
    known = comparison.arms[0].figures
    return {name: head for name, head in COLUMNS.items() if name in known and name not in left_out}


def cell(arm: ArmSummary, name: str) -> str:
    """Mean ± deviation of a figure, as people read it."""
    found = arm.figures[name]
    if name == "steps_to_goal" and arm.done:
        return _to_goal(found, len(arm.done))
    if name == "epsilon" and arm.done and not found.count:
        return "none"
    text = _spread(found, name)
    return f"{text} ({arm.noise})" if name == "epsilon" and found.count else text


def number(value: float | None, name: str) -> str:
    """One value of a figure."""
    if value is None or value != value:  # noqa: PLR0124  # NaN
        return NOTHING
    match name:
        case "bytes_per_node":
            return _bytes(value)
        case "steps" | "steps_to_goal":
            return f"{value:,.0f}"
        case "virtual_s" | "seconds":
            return f"{value:,.1f}"
        case "epsilon":
            return f"{value:.2f}"
        case _:
            return f"{value:.3f}"


def difference(found: Difference) -> str:
    """A mean with its interval."""
    if found.mean is None:
        return NOTHING
    if found.low is None or found.high is None:
        return f"{_signed(found.mean)}, no interval"
    return f"{_signed(found.mean)} [{_signed(found.low)}, {_signed(found.high)}]"


def reading(comparison: Comparison, arm: ArmSummary) -> str:
    """What an arm's difference to the reference says of the mean node, in words."""
    found = arm.differences["mean_node"]
    kinds = {one.noise for one in comparison.arms if one.name in {arm.name, comparison.terms.reference}}
    if len(kinds - {"none"}) > 1:
        return "another kind of noise"
    if found.mean is None:
        return "no seed in common"
    if found.low is None:
        return "one seed: no interval"
    if not found.excludes_zero:
        return "not told apart"
    higher_is_better = comparison.measure is not None and comparison.measure.figure == "accuracy"
    return "better" if (found.mean > 0) == higher_is_better else "worse"


def work(arm: ArmSummary) -> str:
    """The steps that were planned and done where they are not those of the others; empty where they are."""
    if arm.equal_work:
        return ""
    done = number(arm.figures["steps"].mean, "steps")
    return f"unequal work: {arm.source.steps:,} steps planned, {done} done, or other batches"


def changes(arm: ArmSummary) -> str:
    """What the arm changes in the base."""
    listed = (f"{field}: {json.dumps(value, ensure_ascii=False)}" for field, value in arm.source.changes.items())
    return "\n".join(listed) or "nothing"


def _spread(found: Estimate, name: str) -> str:
    if found.mean is None:
        return NOTHING
    text = number(found.mean, name)
    return f"{text} ± {number(found.std, name)}" if found.std else text


def _to_goal(found: Estimate, runs: int) -> str:
    if not found.count:
        return "never"
    text = _spread(found, "steps_to_goal")
    return text if found.count == runs else f"{text} ({found.count} of {runs})"


def _bytes(value: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if value >= size), (1.0, "B"))
    return f"{value / size:.3g} {unit}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
