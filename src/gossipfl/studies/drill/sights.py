"""What nodes write down, read while they run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Sight:
    """What a node has written in `metrics.jsonl`, read on as it grows.

    Attributes:
        phase: its last; -1 before any.
        epsilon: the largest so far.
        fell: how often ε was less than before.
        heard: own phases since each neighbor was heard, as of the last mixing.
        rejected: by reason, in the present life.
        lost: phases that were done and are gone, the one in flight at a restart not counted.
    """

    path: Path
    phase: int = -1
    epsilon: float = 0.0
    fell: int = 0
    rows: int = 0
    heard: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    _offset: int = 0

    def look(self) -> None:
        """Reads what is new."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            # the last line may still be on its way
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        for line in complete.splitlines():
            self._take(json.loads(line))

    def _take(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        self.lost += max(0, self.phase - row["phase"] - 1)
        self.phase, self.heard = row["phase"], row["staleness"]
        self.rejected = row["rejected"]
        epsilon = row["epsilon"] or 0.0
        # rounded as it is written: less by more than that is less
        if epsilon < self.epsilon * (1 - 1e-9):
            self.fell += 1
        self.epsilon = max(self.epsilon, epsilon)
