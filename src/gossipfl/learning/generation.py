"""Text from an exported adapter, beside what the base model alone says. Greedy: the same words every time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from pydantic import ValidationError
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import ModelConfig, TaskConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.continuing import continue_greedily, has_encoder
from gossipfl.learning.data.tokens import prompt_ids
from gossipfl.learning.device import choose_device
from gossipfl.learning.export import NOTE
from gossipfl.learning.models import load_base
from gossipfl.learning.quiet import quiet
from gossipfl.learning.sources import weights_sha256
from gossipfl.learning.tasks import KINDS

_SAYING = ("causal-lm", "multiple-choice", "seq2seq-lm")
"""Kinds of task whose models say text."""
_LISTED = " or ".join([", ".join(_SAYING[:-1]), _SAYING[-1]])


@dataclass(frozen=True, slots=True)
class Generation:
    """A continuation.

    Attributes:
        text: with the adapter, without the prompt.
        base_text: the base model's, from the same prompt.
        adapter_sha256: of the weights file of the export.
    """

    text: str
    base_text: str
    adapter_sha256: str


@dataclass(frozen=True, slots=True)
class ExportNote:
    """What an export's note says.

    Attributes:
        model: the base model.
        task: what the adapter was trained for.
        base_sha256: of the base model it belongs to.
        prompted: it was trained on prompts and responses.
        merged: the folder holds the whole model.
        seed: of the experiment.
    """

    model: ModelConfig
    task: TaskConfig
    base_sha256: str
    prompted: bool
    merged: bool
    seed: int


def generate(
    adapter_dir: Path, prompt: str, *, max_new_tokens: int = 100, device: str = "auto", chat: bool | None = None
) -> Generation:
    """Continues a prompt with and without the adapter.

    Args:
        adapter_dir: what `export` wrote.
        device: auto (CUDA when there is one), cpu, cuda, cuda:1.
        chat: through the tokenizer's chat template; None: as in training, and plain text where it was plain text.

    Raises:
        ModelError: no export, not of a task that says text, made on another base model, or the prompt is too long.
        ConfigError: no such device here.
    """
    about = read_note(adapter_dir)
    if about.task.kind not in _SAYING:
        raise ModelError(f"adapter: {adapter_dir} was trained for {about.task.kind}; generate needs {_LISTED}")
    base = load_base(about.model, about.task, folder=adapter_dir, seed=about.seed)
    if base.sha256 != about.base_sha256:
        raise ModelError(
            f"adapter: {adapter_dir} belongs to base model {about.base_sha256[:12]}, "
            f"{about.model.source!r} is {base.sha256[:12]}"
        )
    tokenizer = base.tokenizer
    if tokenizer is None:
        raise ModelError(f"adapter: {about.model.source!r} has no tokenizer; generate needs a model of text")
    ids = torch.tensor(
        [_prompt_ids(tokenizer, prompt, about, chat=chat)], device=choose_device(TrainingConfig(device=device))
    )
    _check_length(base, ids.shape[1], max_new_tokens)
    base_text = _continue(base.module.to(ids.device), tokenizer, ids, max_new_tokens)
    adapted = _with_adapter(base, adapter_dir, about).to(ids.device)
    text = _continue(adapted, tokenizer, ids, max_new_tokens)
    return Generation(text, base_text, exported_sha256(adapter_dir, merged=about.merged))


def read_note(adapter_dir: Path) -> ExportNote:
    """What stands in the `gossipfl.json` of an export.

    Raises:
        ModelError: it is missing or damaged.
    """
    path = adapter_dir / NOTE
    try:
        note: Any = json.loads(path.read_text())
        return ExportNote(
            model=ModelConfig.model_validate(note["model"]),
            task=TaskConfig.model_validate(note["task"]),
            base_sha256=str(note["base_sha256"]),
            prompted=bool(note["prompted"]),
            merged=bool(note["merged"]),
            seed=int(note["seed"]),
        )
    except OSError as error:
        raise ModelError(f"adapter: {adapter_dir} is no folder that gossipfl export wrote: no {NOTE}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise ModelError(f"adapter: {path} is damaged; export the adapter again") from error


def exported_sha256(adapter_dir: Path, *, merged: bool) -> str:
    """Hash of an export's weights, as `export` gave it."""
    return weights_sha256(adapter_dir) if merged else file_sha256(adapter_dir / "adapter_model.safetensors")


def _with_adapter(base: BaseModel, adapter_dir: Path, about: ExportNote) -> nn.Module:
    try:
        with quiet():
            if about.merged:
                kind = getattr(transformers, KINDS[about.task.kind].model_class)
                module: nn.Module = kind.from_pretrained(adapter_dir, dtype=base.module.dtype, local_files_only=True)
            else:
                module = PeftModel.from_pretrained(base.module, adapter_dir)
    # whatever the readers make of missing or damaged files
    except Exception as error:
        raise ModelError(f"adapter: {adapter_dir} cannot be read: {error}") from error
    return module.eval()


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, about: ExportNote, *, chat: bool | None) -> list[int]:
    if about.task.kind == "seq2seq-lm":
        if chat:
            raise ModelError("chat: an encoder reads the prompt as it is; a chat template is for causal-lm")
        ids = list(tokenizer(prompt)["input_ids"]) if prompt else []
    elif chat or (chat is None and about.prompted):
        ids = prompt_ids(tokenizer, prompt, chat_template=chat or about.task.chat_template)
    else:
        ids = list(tokenizer(prompt)["input_ids"])
        if ids and ids[-1] == tokenizer.eos_token_id:
            # some tokenizers end every text, and after the end nothing follows
            ids.pop()
    if not ids:
        raise ModelError("prompt: it is empty; at least one token is needed")
    return ids


def _check_length(base: BaseModel, prompt_tokens: int, max_new_tokens: int) -> None:
    limit = getattr(base.module.config, "max_position_embeddings", None)
    # an encoder and a decoder have a context each
    tokens = max(prompt_tokens, max_new_tokens) if has_encoder(base.module) else prompt_tokens + max_new_tokens
    if limit is not None and tokens > limit:
        raise ModelError(
            f"prompt: {prompt_tokens} tokens and max_new_tokens {max_new_tokens} exceed the model's context of {limit}"
        )


def _continue(module: nn.Module, tokenizer: PreTrainedTokenizerBase, ids: Tensor, max_new_tokens: int) -> str:
    (out,) = continue_greedily(module, ids, most=max_new_tokens, pad=tokenizer.pad_token_id)
    return str(tokenizer.decode(out, skip_special_tokens=True)).strip()
