"""A label a word: loss(row) = mean over the row's words of −log p(label of the word's first token)."""

from gossipfl.learning.tasks.causal_lm import count_tokens, token_losses
from gossipfl.learning.tasks.classification import SEQUENCE
from gossipfl.learning.tasks.f1 import OF_CLASSES
from gossipfl.learning.tasks.seam import Kind

TAGGING = Kind(
    SEQUENCE.logits,
    token_losses,
    count_tokens,
    "AutoModelForTokenClassification",
    "TOKEN_CLS",
    has_head=True,
    measuring=OF_CLASSES,
)
