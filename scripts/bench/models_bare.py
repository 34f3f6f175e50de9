"""The other side of `models`: a bare loop of transformers, PEFT and torch, with the collators of transformers."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig, get_peft_model
from scripts.bench.models_work import LABELS, RANK, RATE, Play, Work, write_records
from torch.utils.data import DataLoader
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
)
from transformers.utils import logging

DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "attention_dropout")


def phases(work: Work, base: Path, folder: Path) -> Play:
    """As many steps a call as a phase of ours has.

    Args:
        base: folder of the model.
        folder: for the records.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, tokenizer = _model(work, base)
    batches = _batches(work, write_records(work, folder, "bare"), tokenizer)
    optimizer = torch.optim.Adam([own for own in model.parameters() if own.requires_grad], lr=RATE)
    passes = work.batch // work.micro_batch

    def play() -> None:
        for _ in range(work.steps):
            for batch in islice(batches, passes):
                (model(**batch).loss / passes).backward()
            optimizer.step()
            optimizer.zero_grad()

    return play


def _batches(work: Work, path: Path, tokenizer: Any) -> Iterator[Any]:  # noqa: ANN401  # the libraries have no types
    datasets.disable_progress_bars()
    table = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(path.parent / "cache"))

    def tokens(rows: Any) -> Any:  # noqa: ANN401
        encoded = tokenizer(rows["text"], truncation=True, max_length=work.length)
        return {**encoded, "labels": [LABELS.index(label) for label in rows["label"]]} if work.labeled else encoded

    rows = table.map(tokens, batched=True, remove_columns=table.column_names)
    causal = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    collator = DataCollatorWithPadding(tokenizer) if work.labeled else causal
    loader = DataLoader(rows, batch_size=work.micro_batch, shuffle=True, collate_fn=collator)
    while True:
        yield from loader


def _model(work: Work, base: Path) -> tuple[Any, Any]:
    """PEFT's model without dropout, and its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    config = AutoConfig.from_pretrained(base, **({"num_labels": len(LABELS)} if work.labeled else {}))
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.pad_token_id = tokenizer.pad_token_id
    kind = AutoModelForSequenceClassification if work.labeled else AutoModelForCausalLM
    model = kind.from_pretrained(base, config=config, dtype=torch.float32)
    task = "SEQ_CLS" if work.labeled else "CAUSAL_LM"
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=list(work.targets), task_type=task)
    return get_peft_model(model, lora).train(), tokenizer
