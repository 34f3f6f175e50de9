"""A small Llama or Mamba that knows a little language: tokenizer and weights from public text, made once.

For studies of what training adds to a model; where no large one fits into the time.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    get_cosine_schedule_with_warmup,
)

from gossipfl.config.memorization import PretrainConfig
from gossipfl.core.rng import derive_seed, generator
from gossipfl.errors import DataError
from gossipfl.learning.cache import cache_folder, locked
from gossipfl.learning.quiet import quiet

LLAMA = "llama"
_VERSION = 1
"""Goes up when the same wish gives another model."""
_END = "</s>"
_WARMUP = 0.05
_CLIP = 1.0

Show = Callable[[int, int, float], None]
"""Told of every step: its number, how many there are, its loss."""


def pretrained(
    texts: Sequence[str],
    config: PretrainConfig,
    *,
    length: int,
    family: str = LLAMA,
    show: Show = lambda *_: None,
) -> Path:
    """Folder of a model of transformers, with its tokenizer, trained on these texts.

    Args:
        length: tokens of its context.
        family: of `FAMILIES`.

    Guarantees:
        Equal arguments give the same folder; it is complete or absent, also with several processes at once.

    Raises:
        DataError: the texts do not fill a batch.
    """
    named = [] if family == LLAMA else [family]
    wished = json.dumps([_VERSION, *named, config.model_dump(), length, torch.__version__, *texts])
    folder = cache_folder() / "pretrained" / hashlib.sha256(wished.encode()).hexdigest()[:32]
    if not folder.is_dir():
        with locked(folder.with_suffix(".lock")):
            # another process may have made it while this one waited
            if not folder.is_dir():
                _make(folder, texts, _Wish(config, length, family), show)
    return folder


@dataclass(frozen=True, slots=True)
class _Wish:
    config: PretrainConfig
    length: int
    family: str


def _make(folder: Path, texts: Sequence[str], wish: _Wish, show: Show) -> None:
    config, length = wish.config, wish.length
    tokenizer = byte_pairs(texts, config.vocabulary, length)
    blocks = _blocks(texts, tokenizer, length)
    if len(blocks) < config.batch_size:
        raise DataError(
            f"memorization.pretrain.source: {len(blocks)} blocks of {length} tokens are less than a batch of "
            f"{config.batch_size}"
        )
    module = _trained(_drawn(tokenizer, wish), blocks, config, show)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="pretraining-"))
    try:
        with quiet():
            module.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def byte_pairs(texts: Sequence[str], vocabulary: int, length: int) -> PreTrainedTokenizerFast:
    """A tokenizer of byte-level byte pairs from these texts: every text can be written.

    Args:
        vocabulary: tokens at most.
        length: tokens that its model can take.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[_END], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END, model_max_length=length)


def _blocks(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, length: int) -> Tensor:
    """(blocks, length) ids: all texts one behind the other, cut."""
    end = [tokenizer.eos_token_id]
    rows = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
    ids = np.concatenate([np.array(row + end, np.int64) for row in rows] or [np.zeros(0, np.int64)])
    return torch.from_numpy(ids[: len(ids) // length * length].reshape(-1, length))


def _drawn(tokenizer: PreTrainedTokenizerFast, wish: _Wish) -> PreTrainedModel:
    words: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": wish.config.hidden,
        "num_hidden_layers": wish.config.layers,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(0, purpose="pretraining weights") % 2**63)
        return FAMILIES[wish.family](wish, words)


def _llama(wish: _Wish, words: dict[str, Any]) -> PreTrainedModel:
    config = wish.config
    return LlamaForCausalLM(
        LlamaConfig(
            intermediate_size=3 * config.hidden,
            num_attention_heads=config.heads,
            max_position_embeddings=wish.length,
            **words,
        )
    )


def _mamba(_wish: _Wish, words: dict[str, Any]) -> PreTrainedModel:
    return MambaForCausalLM(MambaConfig(state_size=8, **words))


FAMILIES: Mapping[str, Callable[[_Wish, dict[str, Any]], PreTrainedModel]] = {LLAMA: _llama, "mamba": _mamba}
"""By name; a Mamba has no heads."""


def _trained(module: PreTrainedModel, blocks: Tensor, config: PretrainConfig, show: Show) -> PreTrainedModel:
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate)
    schedule = get_cosine_schedule_with_warmup(optimizer, round(_WARMUP * config.steps), config.steps)
    draw = generator(0, purpose="pretraining batches")
    module.train()
    for step in range(config.steps):
        batch = blocks[draw.choice(len(blocks), config.batch_size, replace=False)]
        loss = module(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        show(step + 1, config.steps, float(loss.detach()))
    return module.eval()
