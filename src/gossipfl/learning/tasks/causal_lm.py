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
    # only the counted positions become fp32: a vocabulary's worth of logits for each is most of the memory
    each = F.cross_entropy(logits[counted].float(), targets[counted], reduction="none")
    row = counted.nonzero()[:, 0]
    sums = each.new_zeros(len(targets)).index_add(0, row, each)
    # a row of one token has nothing to predict: its loss is 0
    return sums / counted.sum(1).clamp(min=1)


def count_tokens(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """One answer a target that counts."""
    # no token's number is that of one that is not counted
    return (targets != IGNORED).sum(1), (logits.argmax(-1) == targets).sum(1)


def _next_losses(logits: Tensor, labels: Tensor) -> Tensor:
    return token_losses(logits[:, :-1], labels[:, 1:])


def _count_next(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return count_tokens(logits[:, :-1], labels[:, 1:])


CAUSAL = Kind(_logits, _next_losses, _count_next, "AutoModelForCausalLM", "CAUSAL_LM")
