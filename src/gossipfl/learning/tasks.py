"""What a model learns to do: one loss per row, and what evaluation counts.

    sequence-classification   loss(row) = −log p(label)
    vector-classification     the same
    causal-lm                 loss(row) = mean over the row's own loss tokens of −log p(token | tokens before)

Losses are fp32 whatever the model computes in. A row's loss is transformers' own loss of that row alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gossipfl.config.experiment import TaskConfig
from gossipfl.learning.data.examples import IGNORED


@dataclass(frozen=True, slots=True)
class Scores:
    """What evaluation needs of some rows.

    Attributes:
        losses: (rows,) fp32, see above.
        tokens: (rows,) loss tokens of each row; 1 for classification.
        correct: (rows,) bool, classified right; None for `causal-lm`.
    """

    losses: Tensor
    tokens: Tensor
    correct: Tensor | None


@dataclass(frozen=True, slots=True)
class Task:
    """A task's losses in one precision.

    Attributes:
        scores: (module, tensors of a `Rows`) to its scores, with gradient where enabled.
        hits: to (rows,) bool: what the labels say is what the model says first, of `causal-lm` at every loss token.
        classifies: there is an accuracy.
    """

    scores: Callable[[nn.Module, Mapping[str, Tensor]], Scores]
    hits: Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
    classifies: bool

    def losses(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        """(rows,) fp32 loss of each row."""
        return self.scores(module, tensors).losses


def make_task(config: TaskConfig, *, autocast: torch.dtype | None = None) -> Task:
    """The task of an experiment.

    Args:
        autocast: type the model computes in on a GPU; None: that of its weights.
    """
    compute, score, hit = _KINDS[config.kind]

    def logits(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(tensors["labels"].device.type, dtype=autocast, enabled=autocast is not None):
            return compute(module, tensors)

    def scores(module: nn.Module, tensors: Mapping[str, Tensor]) -> Scores:
        return score(logits(module, tensors), tensors["labels"])

    def hits(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        return hit(logits(module, tensors), tensors["labels"])

    return Task(scores, hits, config.classifies)


def _of_text(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    logits: Tensor = module(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"]).logits
    return logits


def _of_every_token(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    ids, mask = tensors["input_ids"], tensors["attention_mask"]
    # a cache of keys and values serves generation only
    logits: Tensor = module(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return logits


def _of_numbers(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
    logits: Tensor = module(tensors["features"])
    return logits


def _classification(logits: Tensor, labels: Tensor) -> Scores:
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    return Scores(losses, torch.ones_like(labels), _class_hit(logits, labels))


def _causal_lm(logits: Tensor, labels: Tensor) -> Scores:
    targets = labels[:, 1:]
    counted = targets != IGNORED
    # only the counted positions become fp32: a vocabulary's worth of logits for each is most of the memory
    each = F.cross_entropy(logits[:, :-1][counted].float(), targets[counted], reduction="none")
    tokens = counted.sum(1)
    row = counted.nonzero()[:, 0]
    sums = each.new_zeros(len(labels)).index_add(0, row, each)
    # a row of one token has nothing to predict: its loss is 0
    return Scores(sums / tokens.clamp(min=1), tokens, None)


def _class_hit(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.argmax(-1) == labels


def _tokens_hit(logits: Tensor, labels: Tensor) -> Tensor:
    # each from the true tokens before it: greedy decoding says the same as long as all before it are hit
    return ((logits[:, :-1].argmax(-1) == labels[:, 1:]) | (labels[:, 1:] == IGNORED)).all(1)


_KINDS: Mapping[
    str,
    tuple[
        Callable[[nn.Module, Mapping[str, Tensor]], Tensor],
        Callable[[Tensor, Tensor], Scores],
        Callable[[Tensor, Tensor], Tensor],
    ],
] = {
    "sequence-classification": (_of_text, _classification, _class_hit),
    "vector-classification": (_of_numbers, _classification, _class_hit),
    "causal-lm": (_of_every_token, _causal_lm, _tokens_hit),
}
"""`task.kind` to what computes logits, what scores them, and what asks whether they say the labels."""
