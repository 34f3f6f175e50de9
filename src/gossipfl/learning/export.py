"""Writes an adapter so that others can use it: a PEFT folder, or the whole model with the update folded in.

    lora, ffa   A, B as they are
    core        B = U R, A = Vᵀ, alpha = scale · rank, or scale · √rank where ranks are stabilized
    full, and lora that folds (adapter.merge exact, stack): no low rank: always the whole model
    builtin     the whole model, for which PEFT has no form: safetensors and a config.json
    plain torch as the others; the whole model as safetensors and a config.json that names the callable

The classification head travels in PEFT's `modules_to_save`. `gossipfl.json` beside says which base model it belongs to,
and README.md is the model card.
"""

import contextlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig
from safetensors.numpy import save_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from gossipfl.config.data import COLUMNS
from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.adapters import attach
from gossipfl.learning.adapters.adapted import Adapted, LowRank
from gossipfl.learning.builtin import save_builtin
from gossipfl.learning.cache import file_sha256
from gossipfl.learning.card import CARD, Story, card_of
from gossipfl.learning.models import load_base
from gossipfl.learning.plain import save_plain
from gossipfl.learning.quiet import quiet
from gossipfl.learning.sources import hub_id, weights_sha256
from gossipfl.learning.tasks import KINDS
from gossipfl.state import AdapterState

NOTE = "gossipfl.json"
"""Its presence marks a folder as an export, which a later one may replace."""
_WEIGHTS = "adapter_model.safetensors"


def export(
    adapted: Adapted, state: AdapterState, output: Path, *, merge: bool = False, story: Story | None = None
) -> str:
    """Writes `state` as a folder and gives the SHA-256 of its weights file; equal states give equal hashes.

    Args:
        adapted: holds `state` afterwards.
        output: made, or replaced when it is an earlier export; complete or untouched.
        merge: the whole model with the update folded in, in the base's type, for `AutoModel….from_pretrained`; `full`
            and a builtin model are always written so. Otherwise a folder for `PeftModel.from_pretrained`.
        story: what the run adds to the model card.

    Raises:
        ModelError: the state belongs to another adapter, `output` holds something else, or the base is quantized and to
            be merged.
    """
    if merge and adapted.experiment.model.quantization != "none":
        raise ModelError("--merge: the update cannot be folded into quantized weights; set model.quantization none")
    adapted.write(state)
    # what was folded into the frozen weights has no low rank
    whole = merge or adapted.parts.factors is None or bool(adapted.parts.folds)
    with _replacing(output) as folder, quiet():
        if adapted.experiment.model.builtin is not None:
            save_builtin(adapted.module, adapted.experiment.model, adapted.experiment.task, folder)
        elif whole:
            _save_whole(adapted, state, folder)
        else:
            _save_adapter(adapted, state, folder)
        if adapted.tokenizer is not None:
            adapted.tokenizer.save_pretrained(folder)
        if adapted.base.images is not None:
            adapted.base.images.processor.save_pretrained(folder)
        sha256 = weights_sha256(folder) if whole else file_sha256(folder / _WEIGHTS)
        (folder / NOTE).write_text(json.dumps(_note(adapted, sha256, whole=whole), indent=1) + "\n")
        card = card_of(adapted, story or Story(), sha256=sha256, whole=whole)
        (folder / CARD).write_text(str(card), encoding="utf-8")
    return sha256


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stored state comes from.

    Attributes:
        experiment: it was trained in.
        folder: where the experiment's relative paths start.
        components: of the adapter at the time, see `Adapted.components`; what is absent is not compared.
    """

    experiment: Experiment
    folder: Path
    components: Mapping[str, str]


def export_stored(
    origin: Origin, state: AdapterState, output: Path, *, merge: bool = False, story: Story | None = None
) -> str:
    """Loads model and adapter of a stored state anew and exports it; gives the SHA-256 of the weights file.

    Raises:
        ModelError: see `adapted_again` and `export`.
    """
    return export(adapted_again(origin), state, output, merge=merge, story=story)


def adapted_again(origin: Origin) -> Adapted:
    """Model and adapter of a stored state.

    Raises:
        ModelError: see `load_base` and `attach`; or a file has changed since the state was trained.
    """
    experiment = origin.experiment
    base = load_base(experiment.model, experiment.task, folder=origin.folder, seed=experiment.seed)
    basis = experiment.adapter.basis
    adapted = attach(base, experiment, basis=None if basis is None else origin.folder / basis)
    now = adapted.components()
    if changed := sorted(key for key in now if origin.components.get(key, now[key]) != now[key]):
        raise ModelError(f"export: the state was trained with another {' and '.join(changed)} than is here now")
    return adapted


def _note(adapted: Adapted, sha256: str, *, whole: bool) -> dict[str, object]:
    experiment = adapted.experiment
    return {
        "model": {**experiment.model.model_dump(mode="json"), "source": adapted.base.source},
        "base_sha256": adapted.base.sha256,
        "task": experiment.task.model_dump(mode="json"),
        "prompted": experiment.data.prompt is not None or experiment.task.kind == "multiple-choice",
        "columns": experiment.data.model_dump(mode="json", include=set(COLUMNS)),
        "adapter": experiment.adapter.kind,
        "seed": experiment.seed,
        "sha256": sha256,
        "merged": whole,
    }


def _save_adapter(adapted: Adapted, state: AdapterState, folder: Path) -> None:
    tensors: dict[str, NDArray[np.float32]] = {}
    layers = _low_rank(adapted, state)
    for layer in layers:
        tensors[f"{layer.layer}.lora_A.weight"] = layer.A
        tensors[f"{layer.layer}.lora_B.weight"] = layer.B
    saved = _saved_modules(adapted)
    for module in saved:
        for name, parameter in adapted.module.get_submodule(module).named_parameters():
            tensors[f"{module}.{name}"] = parameter.detach().float().cpu().numpy()
    whole = {f"base_model.model.{name}": np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(whole, folder / _WEIGHTS, metadata={"format": "pt"})
    config = _peft_config(adapted, [layer.layer for layer in layers], saved)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _peft_config(adapted: Adapted, layers: list[str], saved: list[str]) -> dict[str, object]:
    base = adapted.base
    rank, stabilized = adapted.parts.rank, adapted.experiment.adapter.rank_stabilized
    config = LoraConfig(
        r=rank,
        lora_alpha=adapted.parts.scale * (math.sqrt(rank) if stabilized else rank),
        use_rslora=stabilized,
        fan_in_fan_out=all(_is_transposed(adapted, layer) for layer in layers),
        # PEFT has no name for some, and its classes by task want what only models of transformers have
        task_type=None if adapted.experiment.model.plain else KINDS[adapted.experiment.task.kind].peft_type or None,
        base_model_name_or_path=hub_id(base.source) or str(base.folder or base.source),
        revision=adapted.experiment.model.revision,
        inference_mode=True,
    )
    # in PEFT's own form these are sets: written as lists, equal exports are equal files
    lists = {"target_modules": sorted(layers), "modules_to_save": saved or None}
    described: dict[str, object] = {**config.to_dict(), **lists}
    return {name: sorted(value) if isinstance(value, set) else value for name, value in described.items()}


def _saved_modules(adapted: Adapted) -> list[str]:
    """The modules that the base model's files lack, or that were trained whole: head, and what was drawn."""
    heads = {name.partition(".")[0] for name in adapted.base.head}
    return sorted(heads | {name.rpartition(".")[0] for name in adapted.base.drawn})


def _save_whole(adapted: Adapted, state: AdapterState, folder: Path) -> None:
    weights = _plain_weights(adapted)
    for layer in _low_rank(adapted, state):
        name = f"{layer.layer}.weight"
        update = adapted.parts.scale * (layer.B.astype(np.float64) @ layer.A.astype(np.float64))
        oriented = torch.from_numpy(update.T if _is_transposed(adapted, layer.layer) else update)
        weights[name] = (weights[name].double().cpu() + oriented).to(weights[name].dtype)
    module: Any = adapted.module
    if adapted.experiment.model.plain:
        save_plain(module, weights, adapted.experiment.model, folder)
    else:
        module.save_pretrained(folder, state_dict=weights)


def _plain_weights(adapted: Adapted) -> dict[str, Tensor]:
    """The module's tensors under the names they have without an adapter."""
    layers = tuple(f"{layer}." for layer in _layer_names(adapted))
    return {
        name.replace(".base_layer.", "."): value
        for name, value in adapted.module.state_dict().items()
        if not name.startswith(layers) or ".base_layer." in name
    }


def _low_rank(adapted: Adapted, state: AdapterState) -> list[LowRank]:
    return list(adapted.parts.factors(state)) if adapted.parts.factors else []


def _layer_names(adapted: Adapted) -> list[str]:
    return [layer.layer for layer in _low_rank(adapted, adapted.initial)]


def _is_transposed(adapted: Adapted, layer: str) -> bool:
    return isinstance(adapted.module.get_submodule(f"{layer}.base_layer"), Conv1D)


@contextlib.contextmanager
def _replacing(output: Path) -> Iterator[Path]:
    """A new folder that takes the place of `output` at the end; after an error `output` is as it was."""
    free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not free and not (output / NOTE).is_file():
        raise ModelError(f"output: {output} exists and is not an earlier export; choose another folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        shutil.rmtree(output, ignore_errors=True)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
