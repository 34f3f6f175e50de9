"""Greedy continuation of token ids: the same words every time."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from gossipfl.learning.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def continue_greedily(module: nn.Module, prompts: Tensor, *, most: int, pad: int | None) -> Tensor:
    """(rows, at most `most`) ids behind the prompts; a row that has ended is filled up.

    Args:
        module: a language model of transformers, in evaluation mode, with or without an adapter.
        prompts: (rows, tokens) ids, equally long, on the model's device.
        most: tokens at most.
        pad: id that fills up; None: the model's own.
    """
    with quiet():
        out: Tensor = cast("PreTrainedModel", module).generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            num_beams=1,
            max_new_tokens=most,
            pad_token_id=pad,
        )
    return out[:, prompts.shape[1] :]
