"""A small T5 that knows nothing yet, with a tokenizer of its own: for studies where no large one fits into the time."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import T5Config, T5ForConditionalGeneration

from gossipfl.core.rng import derive_seed
from gossipfl.learning.pretraining import byte_pairs
from gossipfl.learning.quiet import quiet

_LENGTH = 512
"""Tokens that T5 is used to; its positions are relative, and have no end."""


def write_small_t5(folder: Path, texts: Sequence[str], *, vocabulary: int, seed: int) -> None:
    """Writes a model of transformers with random weights, and a tokenizer of byte pairs from these texts.

    Args:
        vocabulary: tokens at most.
        seed: of the weights; torch's global generators are neither used nor changed.
    """
    tokenizer = byte_pairs(texts, vocabulary, _LENGTH)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(derive_seed(seed, purpose="weights of a T5") % 2**63)
        T5ForConditionalGeneration(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
