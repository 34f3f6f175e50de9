"""The next token: loss(row) = mean over the row's own loss tokens of −log p(token | tokens before)."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gossipfl.learning.data.content import IGNORED
from gossipfl.learning.tasks.seam import Kind, Tensors


def _logits(module: nn.Module, tensors: Tensors) -> Tensor:
    ids, mask = tensors["input_ids"], tensors["attention_mask"]
    # a cache of keys and values serves generation only
    logits: Tensor = module(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return logits


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """(rows,) mean over the targets that count, of (rows, tokens, vocabulary) at the places of the targets."""
    counted = targets != IGNORED
    each = _each_token(logits, targets, counted)
    row = counted.nonzero()[:, 0]
    sums = each.new_zeros(len(targets)).index_add(0, row, each)
    # a row of one token has nothing to predict: its loss is 0
    return sums / counted.sum(1).clamp(min=1)


def _each_token(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """(counted,) −log p of each, to the same bits either way."""
    if 2 * int(counted.sum()) < counted.numel():
        # only the counted positions become fp32: a vocabulary's worth of logits for each is most of the memory
        return F.cross_entropy(logits[counted].float(), targets[counted], reduction="none")
    # all as they lie: taking most of them out would cost a copy, here and in the backward pass
    every = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=IGNORED)
    return every.view_as(targets)[counted]


def count_tokens(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """One answer a target that counts."""
    # no token's number is that of one that is not counted
    return (targets != IGNORED).sum(1), (logits.argmax(-1) == targets).sum(1)


def _next(labels: Tensor) -> Tensor:
    """What is to be said at each place; behind the last nothing."""
    return F.pad(labels[:, 1:], (0, 1), value=IGNORED)


def _next_losses(logits: Tensor, labels: Tensor) -> Tensor:
    return token_losses(logits, _next(labels))


def _count_next(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return count_tokens(logits, _next(labels))


CAUSAL = Kind(_logits, _next_losses, _count_next, "AutoModelForCausalLM", "CAUSAL_LM")
