"""What an evaluation leaves of `simulation.periods`: how good nodes are on what came when, and what they forget.

    nodes.jsonl      period_accuracy   by node, then by period, on its own held-out part; None of what it does not have
                     forgetting        by node: best so far − now, in the mean over the periods before the newest
    metrics.jsonl    the same, in the mean over the nodes

Newest is what has come to any node: where others have newer data, a node may forget what it has itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gossipfl.learning.forgetting import Memory, Score, mean_of
from gossipfl.runs.judging import Judgment

Memories = dict[str, Memory]
"""By node."""


def period_columns(nodes: Sequence[str], judgments: Mapping[str, Judgment], memories: Memories) -> dict[str, Any]:
    """Of nodes.jsonl; nothing where data does not come in periods.

    Args:
        memories: of earlier evaluations; this one is added.
    """
    scores = {name: judged.periods for name, judged in judgments.items() if judged.periods}
    if not scores:
        return {}
    come = max(place + 1 for own in scores.values() for place, score in enumerate(own) if score is not None)
    forgotten: dict[str, Score] = {}
    for name, own in scores.items():
        memory = memories.setdefault(name, Memory())
        forgotten[name] = mean_of(memory.forgotten(own[:come]))
        memory.note(own[:come])
    return {
        "period_accuracy": [list(scores[name]) if name in scores else None for name in nodes],
        "forgetting": [forgotten.get(name) for name in nodes],
    }


def period_line(columns: Mapping[str, Any], honest: Sequence[bool]) -> dict[str, Any]:
    """Of metrics.jsonl; nothing where data does not come in periods."""
    if "period_accuracy" not in columns:
        return {}
    counted = [own for own, counts in zip(columns["period_accuracy"], honest, strict=True) if counts and own]
    forgetting = [own for own, counts in zip(columns["forgetting"], honest, strict=True) if counts]
    means = [mean_of(scores) for scores in zip(*counted, strict=True)]
    return {"period_accuracy": means, "forgetting": mean_of(forgetting)}
