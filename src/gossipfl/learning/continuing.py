"""Greedy continuation of token ids: the same words every time."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from gossipfl.learning.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def continue_greedily(
    module: nn.Module, prompts: Tensor, *, most: int, pad: int | None, mask: Tensor | None = None
) -> Tensor:
    """(rows, at most `most`) ids behind the prompts, or what a decoder says to them; a row that has ended is filled up.

    Args:
        module: a language model of transformers, in evaluation mode, with or without an adapter.
        prompts: (rows, tokens) ids, on the model's device.
        most: tokens at most.
        pad: id that fills up; None: the model's own.
        mask: (rows, tokens) 0 where a prompt is padded: at its beginning, an encoder's anywhere; None: nowhere.
    """
    with quiet():
        out: Tensor = cast("PreTrainedModel", module).generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts) if mask is None else mask,
            do_sample=False,
            num_beams=1,
            max_new_tokens=most,
            pad_token_id=pad,
        )
    # a decoder begins anew, with one token that begins all texts
    return out[:, 1 if has_encoder(module) else prompts.shape[1] :]


def has_encoder(module: nn.Module) -> bool:
    """An encoder reads the prompt, and a decoder says the rest."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))
