"""Small files of records, of all tasks, and nodes that read them with `data.tokens` memory or mapped."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gossipfl.config.experiment import Experiment
from gossipfl.learning.data import (
    DataSite,
    NodeData,
    blocks,
    load_node_data,
    mapped,
    stored_records,
)

WORDS = ("<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(61)))
SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
ROWS = 29
TASKS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "causal-lm": ({}, {}),
    "causal-lm with prompts": ({}, {"prompt": "prompt", "response": "text"}),
    "sequence-classification": ({"labels": ["a", "b"]}, {}),
    "seq2seq-lm": ({}, {"prompt": "prompt", "response": "text"}),
    "multiple-choice": ({}, {"question": "prompt"}),
    "token-classification": ({"labels": ["a", "b"]}, {}),
}
Make = Callable[..., Experiment]


def tokenizer_of(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    own = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=WORDS[2]))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=own, **SPECIAL)


TOKENIZER = tokenizer_of()


def write(path: Path, *, changed: range = range(0)) -> None:
    """Records of persons that lie scattered, of all tasks' columns."""
    draw = np.random.default_rng(3)
    lines = []
    for row in range(ROWS):
        words = [f"w{word}" for word in draw.integers(0, 61, draw.integers(1, 14))]
        words = ["w5", f"w{row}"] if row in changed else words
        lines.append(
            {
                "text": " ".join(words),
                "prompt": f"w{row} w1 w2",
                "label": "ab"[row % 2],
                "words": words,
                "tags": ["ab"[place % 2] for place in range(len(words))],
                "choices": [f"w{choice} w7" for choice in range(2 + row % 3)],
                "answer": row % 2,
                "person": f"p{row % 17}",
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def experiment_of(name: str = "causal-lm", tokens: str = "mapped", **more: Any) -> Experiment:
    settings, columns = TASKS[name]
    data = {
        "unit": "person",
        "max_per_unit": 2,
        "held_out": 0.3,
        "test": "test.jsonl",
        **columns,
        **more.pop("data", {}),
    }
    given = {
        "model": {"source": "tiny"},
        "task": {"kind": name.split(maxsplit=1)[0], "max_length": 9, **settings, **more.pop("task", {})},
        "data": {**data, "tokens": tokens},
        "privacy": {"level": "none"},
        **more,
    }
    return Experiment.model_validate(given)


def small_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records and a test set; blocks, and chunks of what is kept, are small: rows come from several of them."""
    write(folder / "own.jsonl")
    write(folder / "test.jsonl", changed=range(1))
    monkeypatch.setattr(mapped, "LEAST_VALUES", 20)
    monkeypatch.setattr(blocks, "RECORDS_AT_ONCE", 5)
    monkeypatch.setattr(stored_records, "AT_ONCE", 8)
    return folder


def site(folder: Path, tokens: Path | None = None) -> DataSite:
    return DataSite("a", ("a",), "own.jsonl", folder, folder, tokens=tokens)


def load(folder: Path, experiment: Experiment, tokens: Path | None = None, **more: Any) -> NodeData:
    return load_node_data(experiment, site(folder, tokens), more.get("tokenizer", TOKENIZER))
