"""What each kind of task reads."""

from collections.abc import Mapping

from gossipfl.learning.data.kinds import choices, numbers, pairs, text
from gossipfl.learning.data.kinds.seam import DataKind, Reading

__all__ = ["KINDS", "DataKind", "Reading"]

KINDS: Mapping[str, DataKind] = {
    "sequence-classification": text.CLASSIFIED,
    "vector-classification": numbers.VECTORS,
    "causal-lm": text.CAUSAL,
    "seq2seq-lm": pairs.PAIRS,
    "multiple-choice": choices.CHOICES,
}
"""`task.kind` to what it reads; a new one is a new file and a line here, and one in `learning.tasks` for its loss."""
