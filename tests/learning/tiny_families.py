"""A tiny model of every family of `gossipfl.learning.families`: two layers, hidden 64, 64 words, random weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tests.learning.conftest import LABELS, WORDS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    FalconMambaConfig,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    MistralConfig,
    ModernBertConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Tokenizer,
    Qwen3Config,
    RecurrentGemmaConfig,
    RobertaConfig,
    RwkvConfig,
    T5Config,
)

from gossipfl.learning.families import FAMILIES, Family

OF_TRANSFORMERS: Mapping[str, Family] = {family.kind: family for family in FAMILIES if family.kind and family.tasks}
CASES = tuple((kind, task) for kind, family in OF_TRANSFORMERS.items() for task in family.tasks)
"""Every family and task of the table."""
QUICK = frozenset({"mamba", "rwkv"})
"""The families that are tested every time, the others in the slow suite."""

_WORDS: dict[str, Any] = {"vocab_size": len(WORDS), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
_WIDTHS: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
_TEXT = {**_WORDS, **_WIDTHS, "max_position_embeddings": 64}
_GROUPED = {**_TEXT, "num_key_value_heads": 1, "head_dim": 16}
_STATES = {**_WORDS, "hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}

TINY: Mapping[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**_GROUPED),
    "mistral": lambda: MistralConfig(**_GROUPED, sliding_window=8),
    "qwen2": lambda: Qwen2Config(**_GROUPED),
    "qwen3": lambda: Qwen3Config(**_GROUPED),
    "gemma": lambda: GemmaConfig(**_GROUPED),
    "gemma3_text": lambda: Gemma3TextConfig(
        **_GROUPED, sliding_window=8, layer_types=["sliding_attention", "full_attention"]
    ),
    "phi3": lambda: Phi3Config(**_TEXT, num_key_value_heads=4),
    "gpt2": lambda: GPT2Config(**_WORDS, n_embd=64, n_layer=2, n_head=4, n_positions=64),
    "gpt_neox": lambda: GPTNeoXConfig(**_TEXT),
    "opt": lambda: OPTConfig(**_TEXT, word_embed_proj_dim=64, ffn_dim=96),
    # rescaled for inference from the second layer on, as real ones are from the seventh
    "rwkv": lambda: RwkvConfig(**_WORDS, hidden_size=64, num_hidden_layers=2, context_length=64, rescale_every=1),
    "mamba": lambda: MambaConfig(**_STATES),
    "falcon_mamba": lambda: FalconMambaConfig(**_STATES),
    "mamba2": lambda: Mamba2Config(**_STATES, head_dim=16, num_heads=8, n_groups=1, chunk_size=8),
    "recurrent_gemma": lambda: RecurrentGemmaConfig(
        **_WORDS,
        **_WIDTHS,
        num_key_value_heads=1,
        lru_width=64,
        attention_window_size=8,
        block_types=["recurrent", "attention"],
    ),
    "bert": lambda: BertConfig(**_TEXT),
    "roberta": lambda: RobertaConfig(**_TEXT),
    "distilbert": lambda: DistilBertConfig(
        **_WORDS, dim=64, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=64
    ),
    "deberta-v2": lambda: DebertaV2Config(
        **_TEXT, relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, position_buckets=16
    ),
    "modernbert": lambda: ModernBertConfig(**_TEXT, local_attention=8, cls_token_id=1, sep_token_id=1),
    "t5": lambda: T5Config(
        vocab_size=len(WORDS), d_model=64, d_kv=16, num_layers=2, num_heads=4, d_ff=96, decoder_start_token_id=0
    ),
}
"""By `model_type`."""


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Words w0 … w60, split at blanks."""
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[2]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pad, end, unknown = WORDS[:3]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, eos_token=end, unk_token=unknown)


def spelling_tokenizer() -> Qwen2Tokenizer:
    """The same words, letter by letter."""
    letters = {letter: place for place, letter in enumerate((*WORDS[:3], *"w0123456789Ġ"))}
    pad, end, unknown = WORDS[:3]
    return Qwen2Tokenizer(vocab=letters, merges=[], pad_token=pad, eos_token=end, unk_token=unknown)


def write_tiny(kind: str, home: Path) -> Path:
    """A folder with the tiny model of a family."""
    folder = home / kind
    if not folder.exists():
        auto = AutoModelForCausalLM if "causal-lm" in OF_TRANSFORMERS[kind].tasks else AutoModel
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            module = auto.from_config(TINY[kind]())
            with torch.no_grad():
                for parameter in module.parameters():
                    # of some the first values are all alike
                    parameter.add_(0.05 * torch.randn_like(parameter))
        module.save_pretrained(folder)
        # transformers reads that of this family by its own class, whatever the folder says
        (spelling_tokenizer() if kind == "qwen2" else tiny_tokenizer()).save_pretrained(folder)
    return folder


def write_sentences(path: Path, count: int = 48) -> None:
    """Sentences whose words tell their label, each with the mark at its end that T5 classifies by."""
    rows = [
        {
            "text": " ".join(f"w{20 * (place % 3) + word % 4}" for word in range(place, 2 * place % 7 + place + 3))
            + " </s>",
            "label": LABELS[place % 3],
        }
        for place in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
