"""What each kind of task reads."""

from collections.abc import Mapping

from gossipfl.learning.data.kinds import choices, numbers, pairs, pictures, tagged, text
from gossipfl.learning.data.kinds.seam import DataKind, Reader, Reading

__all__ = ["KINDS", "DataKind", "Reader", "Reading"]

KINDS: Mapping[str, DataKind] = {
    "sequence-classification": text.CLASSIFIED,
    "vector-classification": numbers.VECTORS,
    "causal-lm": text.CAUSAL,
    "seq2seq-lm": pairs.PAIRS,
    "multiple-choice": choices.CHOICES,
    "image-classification": pictures.PICTURES,
    "token-classification": tagged.TAGGED,
}
"""`task.kind` to what it reads; a new one is a new file and a line here, and one in `learning.tasks` for its loss."""
