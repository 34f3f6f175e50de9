"""An export read back: its note, the base model it belongs to, and the model with the adapter.

folder ── gossipfl.json ──> base model, verified ──┬─ adapter: PEFT puts it on
└─ merged: the folder is the model
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import DataConfig, ModelConfig, TaskConfig
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.data.kinds import Reader
from gossipfl.learning.export import NOTE
from gossipfl.learning.models import load_base
from gossipfl.learning.plain import load_whole
from gossipfl.learning.quiet import quiet
from gossipfl.learning.sources import weights_sha256


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
        columns: fields of the section `data` that name columns; empty in an export of an older version.
    """

    model: ModelConfig
    task: TaskConfig
    base_sha256: str
    prompted: bool
    merged: bool
    seed: int
    columns: DataConfig


@dataclass(frozen=True, slots=True)
class Exported:
    """An export in memory.

    Attributes:
        note: see `read_note`.
        module: with the adapter, in evaluation mode, on its device.
        reader: what its records are read with: tokenizer or image processor; None for a builtin model.
        base: the base model alone, where PEFT did not put the adapter on it: of a merged export, if it was asked for.
        sha256: of the weights file, as `export` gave it.
    """

    note: ExportNote
    module: nn.Module
    reader: Reader | None
    base: nn.Module | None
    sha256: str

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """The reader of a model of text; None of another."""
        return self.reader if isinstance(self.reader, PreTrainedTokenizerBase) else None

    @contextmanager
    def base_alone(self) -> Iterator[nn.Module]:
        """The base model without the adapter, for as long as the context lasts."""
        if isinstance(self.module, PeftModel):
            with self.module.disable_adapter():
                yield self.module
        elif self.base is not None:
            yield self.base
        else:
            raise ValueError("the base model of a merged export was not loaded")


def load_exported(
    adapter_dir: Path, device: torch.device, *, with_base: bool = False, code: str | None = None
) -> Exported:
    """The model of an export; of an adapter, its base model is verified.

    Args:
        with_base: also loads (and verifies) the base model of a merged export, for `Exported.base_alone`.
        code: see `read_note`.

    Raises:
        ModelError: no export, made on another base model, or not readable.
    """
    note = read_note(adapter_dir, code=code)
    sha256 = exported_sha256(adapter_dir, merged=note.merged)
    base = None if note.merged and not with_base else _base_of(adapter_dir, note)
    if note.merged or base is None:
        whole = _read(adapter_dir, lambda: _whole(adapter_dir, note))
        alone = None if base is None else base.module.to(device)
        return Exported(note, whole.module.to(device), _reader(whole), alone, sha256)
    module = _read(adapter_dir, lambda: PeftModel.from_pretrained(base.module, adapter_dir))
    return Exported(note, module.eval().to(device), _reader(base), None, sha256)


def read_note(adapter_dir: Path, *, code: str | None = None) -> ExportNote:
    """What stands in the `gossipfl.json` of an export.

    Args:
        code: the `module:callable` whose import the user allows: the folder may be a stranger's.

    Raises:
        ModelError: it is missing or damaged, or the model is code that the user does not name.
    """
    note = _note(adapter_dir)
    if note.model.plain and code != note.model.source:
        raise ModelError(
            f"adapter: {adapter_dir / NOTE} names code to run, {note.model.source}; if you trust it, allow it by that "
            f"very name (--code {note.model.source})"
        )
    return note


def _note(adapter_dir: Path) -> ExportNote:
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
            columns=DataConfig.model_validate(note.get("columns", {})),
        )
    except OSError as error:
        wrong = f"adapter: {adapter_dir} is no folder that gossipfl export wrote: no {NOTE}"
        raise ModelError(wrong + _what_instead(adapter_dir)) from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise ModelError(f"adapter: {path} is damaged; export the adapter again") from error


def _what_instead(folder: Path) -> str:
    """What a folder may be, and what makes an export of it."""
    if not (folder / "config.yaml").is_file():
        return ""
    if (folder / "versions.json").is_file():
        return f"; it is a recorded run: gossipfl export --run {folder} --output DIR makes one of it"
    return f"; it is a node's state: gossipfl export --state-dir {folder} --output DIR makes one of it"


def exported_sha256(adapter_dir: Path, *, merged: bool) -> str:
    """Hash of an export's weights, as `export` gave it."""
    return weights_sha256(adapter_dir) if merged else file_sha256(adapter_dir / "adapter_model.safetensors")


def _base_of(adapter_dir: Path, note: ExportNote) -> BaseModel:
    base = load_base(note.model, note.task, folder=adapter_dir, seed=note.seed)
    if base.sha256 != note.base_sha256:
        raise ModelError(
            f"adapter: {adapter_dir} belongs to base model {note.base_sha256[:12]}, "
            f"{note.model.source!r} is {base.sha256[:12]}"
        )
    return base


def _whole(adapter_dir: Path, note: ExportNote) -> BaseModel:
    if note.model.plain:
        return load_whole(_base_of(adapter_dir, note), adapter_dir)
    if note.model.builtin is None:
        here = note.model.model_copy(update={"source": str(adapter_dir.resolve()), "revision": None})
        return load_base(here, note.task, folder=adapter_dir, seed=note.seed)
    model = _base_of(adapter_dir, note)
    model.module.load_state_dict(load_file(adapter_dir / "model.safetensors"))
    return model


def _reader(base: BaseModel) -> Reader | None:
    return base.tokenizer or base.images


Found = TypeVar("Found")


def _read(adapter_dir: Path, read: Callable[[], Found]) -> Found:
    try:
        with quiet():
            return read()
    # whatever the readers make of missing or damaged files
    except Exception as error:
        raise ModelError(f"adapter: {adapter_dir} cannot be read: {' '.join(str(error).split())}") from error
