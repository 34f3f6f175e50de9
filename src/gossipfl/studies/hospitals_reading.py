"""What the recorded runs of the hospitals study say, as markdown.

loss         of each organization's own held-out terms, before → after, mean ± deviation over the seeds
difference   of the mean over organizations to the first arm's, paired by seed, with its 95% interval
sent         what one state has by bytes, beside the whole model's
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gossipfl.learning.generation import Generation
from gossipfl.report import compare_cells as cells
from gossipfl.report.comparison import ArmSummary, Comparison
from gossipfl.report.measures import Values, by_node
from gossipfl.report.statistics import estimate
from gossipfl.report.tables import markdown_table

FP32_BYTES = 4
Organizations = Mapping[str, Sequence[str]]
"""Node to the organ systems it has."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm's trained adapter says to a prompt.

    Attributes:
        name: the arm's.
        values: in its adapter.
    """

    name: str
    prompt: str
    values: int
    said: Generation


def reading(found: Comparison, organizations: Organizations, answers: Sequence[Answer], model_values: int) -> str:
    """Tables, sizes, and what the adapters say.

    Args:
        model_values: of the whole model, which full fine-tuning would send.
    """
    head = ("arm", *(values[0] for values in organizations.values()), "mean", "to the first arm", "bytes a node", "s")
    seeds = len(found.arms[0].trials)
    text = f"Held-out loss of each organization, before → after training, mean ± deviation over {seeds} seeds"
    parts = [text, markdown_table(head, [_row(arm, organizations) for arm in found.arms])]
    parts += ["One state on the wire, fp32:", _sizes(answers, model_values)]
    for answer in answers:
        hashed = f"{answer.name}, sha256 {answer.said.adapter_sha256[:16]}"
        lines = (("base model", answer.said.base_text), (hashed, answer.said.text))
        rows = [(who, " ".join(text.split())) for who, text in lines]
        parts += [f"`{answer.prompt}`", markdown_table(("", "answer"), rows)]
    return "\n\n".join(parts) + "\n"


def change(before: Values, after: Values) -> str:
    """Of runs; Flower's clients are asked for the first time after a round: before it nothing is known of them."""
    first, last = estimate(before.tolist()), estimate(after.tolist())
    start = cells.NOTHING if first.mean is None else f"{first.mean:.3f}"
    spread = f" ± {last.std:.3f}" if last.std is not None else ""
    return f"{start} → {last.mean:.3f}{spread}" if last.mean is not None else f"{start} → {cells.NOTHING}"


def first_and_last(arm: ArmSummary) -> Values:
    """Losses on own records before and after training, (seeds, 2, nodes), of an arm that has runs."""
    return np.stack([by_node(done.run, "own_loss")[[0, -1]] for done in arm.done.values()])


def _row(arm: ArmSummary, organizations: Organizations) -> tuple[str, ...]:
    if not arm.done:
        fault = next(iter(arm.faults.values()))
        return (arm.name, fault.status, *[""] * (len(organizations) + 3))
    losses = first_and_last(arm)
    each = [change(*losses[:, :, place].T) for place in range(losses.shape[2])]
    mean = change(*losses.mean(axis=2).T)
    to_first = cells.difference(arm.differences["mean_node"]) if arm.differences else cells.NOTHING
    return (arm.name, *each, mean, to_first, cells.cell(arm, "bytes_per_node"), cells.cell(arm, "seconds"))


def _sizes(answers: Sequence[Answer], model_values: int) -> str:
    states = {"whole model": model_values, **{answer.name.removesuffix("-ring"): answer.values for answer in answers}}
    rows = [
        (name, f"{values:,}", f"{values * FP32_BYTES:,}", f"{model_values / values:,.0f}")
        for name, values in states.items()
    ]
    return markdown_table(("sent", "values", "bytes", "times fewer"), rows)
