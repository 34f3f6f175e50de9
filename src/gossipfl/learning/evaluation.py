"""Loss, accuracy and perplexity of a model on examples: no dropout, no gradient, micro-batch by micro-batch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gossipfl.config.experiment import Experiment
from gossipfl.learning.data import Examples
from gossipfl.learning.tasks import SAID_FIRST, Scores, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LARGEST_EXPONENT = 709.0
"""exp of more is no float64."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model does on some examples.

    Attributes:
        loss: mean over the rows, which is what training lowers; NaN without examples.
        accuracy: part of the labels that are said: of rows, or of the words of `token-classification`; None for tasks
            without classes.
        perplexity: exp of the mean over all loss tokens; None for classification, infinity if it overflows.
        examples: rows.
        measures: what else the kind of task measures, by name, see `learning.tasks.measured`; what these examples
            cannot have is absent.
    """

    loss: float
    accuracy: float | None
    perplexity: float | None
    examples: int
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def token_accuracy(self) -> float | None:
        """See `SAID_FIRST`; None for classification."""
        return self.measures.get(SAID_FIRST)

    def figures(self) -> dict[str, float | None]:
        """All of it, flat: what does not apply is None, a measure that is not known is absent."""
        always = {"loss": self.loss, "accuracy": self.accuracy, "perplexity": self.perplexity}
        return {**always, "examples": self.examples, **self.measures}


class Answering(Protocol):
    """A model and what it is judged by: one with an adapter attached, or an export."""

    @property
    def module(self) -> nn.Module:
        """In evaluation mode."""
        ...

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase | None":
        """Of a model of text."""
        ...

    @property
    def experiment(self) -> Experiment:
        """Names task and metrics."""
        ...


def evaluate(module: nn.Module, task: Task, examples: Examples, *, micro_batch: int) -> Evaluation:
    """Runs the model over all examples; it is in the mode it was in, afterwards."""
    return evaluation_of(task, score(module, task, examples, micro_batch=micro_batch))


def score(module: nn.Module, task: Task, examples: Examples, *, micro_batch: int) -> list[Scores]:
    """The scores of all examples, in order; those of several models may be put together, each on its own examples."""
    with evaluating(module):
        return [task.scores(module, rows.tensors) for rows in examples.rows_in_order(micro_batch)]


def evaluation_of(task: Task, scores: Sequence[Scores]) -> Evaluation:
    """What scores come to."""
    if not scores:
        return Evaluation(math.nan, None, None, 0)
    measures = task.measure([score.answers for score in scores])
    losses = torch.cat([score.losses for score in scores]).double()
    loss = float(losses.mean())
    tokens = torch.cat([score.tokens for score in scores])
    # whole numbers divide to float32
    said = float(torch.cat([score.said for score in scores]).sum().double() / tokens.sum())
    if task.classifies:
        return Evaluation(loss, said, None, len(losses), measures)
    perplexity = _perplexity(float((losses * tokens).sum() / tokens.sum()))
    return Evaluation(loss, None, perplexity, len(losses), {SAID_FIRST: said, **measures})


def hit_rate(module: nn.Module, task: Task, examples: Examples, *, micro_batch: int) -> float:
    """Part of the rows of which the model says first what their labels say, to the last token; NaN without examples."""
    with evaluating(module):
        hits = [task.hits(module, rows.tensors) for rows in examples.rows_in_order(micro_batch)]
    return float(torch.cat(hits).double().mean()) if hits else math.nan


def row_losses(module: nn.Module, task: Task, examples: Examples, *, micro_batch: int) -> NDArray[np.float64]:
    """(rows,) loss of each row, in order: what two states are compared by, row against row."""
    with evaluating(module):
        losses = [task.losses(module, rows.tensors) for rows in examples.rows_in_order(micro_batch)]
    return torch.cat(losses).double().cpu().numpy() if losses else np.empty(0)


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, for as long as the context lasts."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
