"""An answer to a text: loss(row) = mean over the response's tokens of −log p(token | prompt, tokens before).

encoder   prompt                                   masked where it is padded
decoder   start, response without its last token   causal: what pads the end is seen by nothing that counts
"""

from typing import Any

import torch
from torch import Tensor, nn

from gossipfl.learning.data.content import IGNORED
from gossipfl.learning.tasks.causal_lm import count_tokens, token_losses
from gossipfl.learning.tasks.seam import Kind, Tensors


def shifted_right(labels: Tensor, *, start: int, pad: int) -> Tensor:
    """What the decoder reads, (rows, tokens): the labels one place later behind `start`; ignored ones are padding."""
    begin = labels.new_full((len(labels), 1), start)
    before = labels[:, :-1]
    return torch.cat([begin, before.masked_fill(before == IGNORED, pad)], dim=1)


def _logits(module: nn.Module, tensors: Tensors) -> Tensor:
    config: Any = module.config
    read = shifted_right(tensors["labels"], start=config.decoder_start_token_id, pad=config.pad_token_id)
    # a cache of keys and values serves generation only
    logits: Tensor = module(
        input_ids=tensors["input_ids"],
        attention_mask=tensors["attention_mask"],
        decoder_input_ids=read,
        use_cache=False,
    ).logits
    return logits


SEQ2SEQ = Kind(_logits, token_losses, count_tokens, "AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM")
