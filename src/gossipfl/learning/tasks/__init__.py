"""What a model learns to do: one loss per row, and what evaluation counts.

    sequence-classification   loss(row) = −log p(label)
    vector-classification     the same
    image-classification      the same
    token-classification      loss(row) = mean over the row's words of −log p(label of a word's first token)
    causal-lm                 loss(row) = mean over the row's own loss tokens of −log p(token | tokens before)
    seq2seq-lm                loss(row) = the same over the response's tokens, given the prompt
    multiple-choice           loss(row) = the same over the right choice's tokens, given the question

Losses are fp32 whatever the model computes in. A row's loss is transformers' own loss of that row alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.tasks import causal_lm, classification, multiple_choice, seq2seq_lm, token_classification
from gossipfl.learning.tasks.seam import Kind, Measuring, Tensors

__all__ = ["KINDS", "SAID_FIRST", "Kind", "Measuring", "Scores", "Task", "make_task", "measured"]

KINDS: Mapping[str, Kind] = {
    "sequence-classification": classification.SEQUENCE,
    "vector-classification": classification.VECTOR,
    "causal-lm": causal_lm.CAUSAL,
    "seq2seq-lm": seq2seq_lm.SEQ2SEQ,
    "multiple-choice": multiple_choice.CHOOSING,
    "image-classification": classification.IMAGE,
    "token-classification": token_classification.TAGGING,
}
"""`task.kind` to what it is; a new one is a new file and a line here, and one in `data.kinds` for what it reads."""
SAID_FIRST = "token_accuracy"
"""Measure of kinds that do not classify: part of the loss tokens that are said first, each after the true ones."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What evaluation needs of some rows.

    Attributes:
        losses: (rows,) fp32, see above.
        tokens: (rows,) loss tokens of each row; 1 for classification.
        said: (rows,) how many of them the model says first, each after the true tokens before it.
        answers: what the kind keeps of them for its measures; None where it has none.
    """

    losses: Tensor
    tokens: Tensor
    said: Tensor
    answers: Any = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task's losses in one precision.

    Attributes:
        losses: (module, tensors of a `Rows`) to (rows,) fp32 loss of each row, with gradient where enabled.
        scores: to its scores.
        classifies: there is an accuracy.
        measure: (answers of all rows, in order) to the measures of the kind; at least one row.
    """

    losses: Callable[[nn.Module, Tensors], Tensor]
    scores: Callable[[nn.Module, Tensors], Scores]
    classifies: bool
    measure: Callable[[Sequence[Any]], Mapping[str, float]]

    def hits(self, module: nn.Module, tensors: Tensors) -> Tensor:
        """(rows,) bool: what the labels say is what the model says first, of `causal-lm` at every loss token."""
        scores = self.scores(module, tensors)
        # greedy decoding says the same as long as all before it are said
        return scores.said == scores.tokens


def make_task(config: TaskConfig, *, autocast: torch.dtype | None = None) -> Task:
    """The task of an experiment.

    Args:
        autocast: type the model computes in on a GPU; None: that of its weights.
    """
    kind = KINDS[config.kind]

    def logits(module: nn.Module, tensors: Tensors) -> Tensor:
        with torch.autocast(tensors["labels"].device.type, dtype=autocast, enabled=autocast is not None):
            return kind.logits(module, tensors)

    def losses(module: nn.Module, tensors: Tensors) -> Tensor:
        return kind.lose(logits(module, tensors), tensors["labels"])

    def scores(module: nn.Module, tensors: Tensors) -> Scores:
        if kind.judge is not None:
            with torch.autocast(tensors["labels"].device.type, dtype=autocast, enabled=autocast is not None):
                return Scores(*kind.judge(module, tensors, config))
        computed, labels = logits(module, tensors), tensors["labels"]
        answers = None if kind.measuring is None else kind.measuring.answers(module, tensors, computed)
        return Scores(kind.lose(computed, labels), *kind.count(computed, labels), answers)

    def measure(answers: Sequence[Any]) -> Mapping[str, float]:
        return {} if kind.measuring is None else kind.measuring.conclude(answers, config)

    return Task(losses, scores, config.classifies or kind.judge is not None, measure)


def measured(config: TaskConfig) -> tuple[str, ...]:
    """Names of all that an evaluation may measure beside loss, accuracy and perplexity."""
    kind = KINDS[config.kind]
    names = () if kind.measuring is None else kind.measuring.names
    return names if config.classifies or kind.judge is not None else (SAID_FIRST, *names, *config.metrics)
