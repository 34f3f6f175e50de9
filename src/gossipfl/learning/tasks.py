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
        said: (rows,) how many of them the model says first, each after the true tokens before it.
    """

    losses: Tensor
    tokens: Tensor
    said: Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """A task's losses in one precision.

    Attributes:
        losses: (module, tensors of a `Rows`) to (rows,) fp32 loss of each row, with gradient where enabled.
        scores: to its scores.
        classifies: there is an accuracy.
    """

    losses: Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
    scores: Callable[[nn.Module, Mapping[str, Tensor]], Scores]
    classifies: bool

    def hits(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        """(rows,) bool: what the labels say is what the model says first, of `causal-lm` at every loss token."""
        scores = self.scores(module, tensors)
        # greedy decoding says the same as long as all before it are said
        return scores.said == scores.tokens


def make_task(config: TaskConfig, *, autocast: torch.dtype | None = None) -> Task:
    """The task of an experiment.

    Args:
        autocast: type the model computes in on a GPU; None: that of its weights.
    """
    compute, lose, count = _KINDS[config.kind]

    def logits(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(tensors["labels"].device.type, dtype=autocast, enabled=autocast is not None):
            return compute(module, tensors)

    def losses(module: nn.Module, tensors: Mapping[str, Tensor]) -> Tensor:
        return lose(logits(module, tensors), tensors["labels"])

    def scores(module: nn.Module, tensors: Mapping[str, Tensor]) -> Scores:
        computed, labels = logits(module, tensors), tensors["labels"]
        return Scores(lose(computed, labels), *count(computed, labels))

    return Task(losses, scores, config.classifies)


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


def _class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, reduction="none")


def _count_classes(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ones_like(labels), (logits.argmax(-1) == labels).long()


def _token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    targets = labels[:, 1:]
    counted = targets != IGNORED
    each = _each_token(logits, targets, counted)
    row = counted.nonzero()[:, 0]
    sums = each.new_zeros(len(labels)).index_add(0, row, each)
    # a row of one token has nothing to predict: its loss is 0
    return sums / counted.sum(1).clamp(min=1)


def _each_token(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """(counted,) −log p of each, to the same bits either way."""
    if 2 * int(counted.sum()) < counted.numel():
        # only the counted positions become fp32: a vocabulary's worth of logits for each is most of the memory
        return F.cross_entropy(logits[:, :-1][counted].float(), targets[counted], reduction="none")
    # all as they lie: taking most of them out would cost a copy, here and in the backward pass
    shifted = F.pad(targets, (0, 1), value=IGNORED)
    every = F.cross_entropy(logits.flatten(0, 1).float(), shifted.flatten(), reduction="none", ignore_index=IGNORED)
    return every.view_as(shifted)[:, :-1][counted]


def _count_tokens(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    targets = labels[:, 1:]
    # no token's number is that of one that is not counted
    return (targets != IGNORED).sum(1), (logits[:, :-1].argmax(-1) == targets).sum(1)


_KINDS: Mapping[
    str,
    tuple[
        Callable[[nn.Module, Mapping[str, Tensor]], Tensor],
        Callable[[Tensor, Tensor], Tensor],
        Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    ],
] = {
    "sequence-classification": (_of_text, _class_losses, _count_classes),
    "vector-classification": (_of_numbers, _class_losses, _count_classes),
    "causal-lm": (_of_every_token, _token_losses, _count_tokens),
}
"""`task.kind` to what computes logits, what they lose, and how much they are asked for and say first."""
