"""Where a node that watches its folder is with its data: for its own disk and screen, never for others."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gossipfl.learning.forgetting import Memory, Score, mean_of
from gossipfl.node.periods import Journal


@dataclass(slots=True)
class DataStanding:
    """Periods taken in, files set aside, and how good the node is on what came when.

    Attributes:
        memory: the best score of each period so far, earlier lives among them.
        journal: of what was taken in and set aside.
        scores: of the last evaluation, by period.
        forgotten: then, of each period but the newest, see `learning.forgetting`.
    """

    memory: Memory = field(default_factory=Memory)
    journal: Journal = field(default_factory=Journal)
    scores: Sequence[Score] = ()
    forgotten: Sequence[Score] = ()

    def judge(self, scores: Sequence[Score]) -> None:
        """Takes in an evaluation."""
        self.scores, self.forgotten = tuple(scores), tuple(self.memory.forgotten(scores))
        self.memory.note(scores)

    def as_json(self) -> dict[str, Any]:
        """What a line of `metrics.jsonl` says of it."""
        return {
            "periods": len(self.journal.periods),
            "set_aside": {each.file.name: each.reason for each in self.journal.set_aside},
            "period_scores": list(self.scores),
            "forgetting": mean_of(self.forgotten),
        }


def memory_in(metrics: Path) -> Memory:
    """What earlier lives of a node wrote down; a torn line is left out."""
    memory = Memory()
    lines = metrics.read_bytes().splitlines() if metrics.exists() else []
    for scores in _scores(lines):
        memory.note(scores)
    return memory


def _scores(lines: Iterable[bytes]) -> Iterable[list[Score]]:
    for line in lines:
        if b'"period_scores"' in line:
            with suppress(ValueError, TypeError, KeyError):
                yield [None if each is None else float(each) for each in json.loads(line)["period_scores"]]
