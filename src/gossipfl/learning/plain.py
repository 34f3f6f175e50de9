"""A language model of the user's own in plain torch: `model.source: my_lab.models:lstm_lm`.

    lstm_lm() -> (module, tokenizer)
    module(ids) -> logits      ids (rows, tokens) int64, short rows padded at their end; logits (rows, tokens, words)

The logits at a token depend on that token and those before it in its own row: whoever looks ahead, or at other rows, is
refused. What is imported is what the user's own experiment.yaml names; nothing from the network, and nothing found in a
folder of somebody else's, is ever imported.
"""

import importlib
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from safetensors.torch import load_model, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from gossipfl.config.experiment import ModelConfig
from gossipfl.core.json_text import json_text
from gossipfl.core.rng import derive_seed
from gossipfl.errors import ModelError
from gossipfl.learning.base import BaseModel, tensors_sha256
from gossipfl.learning.pretrained import ready_tokenizer
from gossipfl.learning.sources import find_folder

LanguageModel = Callable[[], tuple[nn.Module, PreTrainedTokenizerBase | str]]
"""What `model.source` names: a module, and its tokenizer or where that lies, as `model.source` says it of a model."""

_TOKENS = 6
_CLOSE = 1e-4


def load_plain(model: ModelConfig, *, folder: Path, seed: int) -> BaseModel:
    """What `gossipfl.learning.models.load_base` promises, for a model of the user's own.

    torch's generator is seeded from the experiment while the callable runs: weights that it draws are equal on all
    nodes of one torch version. The hash that nodes compare is that of all its tensors, wherever they come from.

    Raises:
        ModelError: it cannot be imported, raises, or gives no language model.
    """
    module, tokenizer = _called(model.source, seed)
    if isinstance(tokenizer, str):
        tokenizer = ready_tokenizer(find_folder(tokenizer, folder=folder), tokenizer)
    _without_dropout(module)
    module = module.to(getattr(torch, model.dtype)).requires_grad_(requires_grad=False).eval()
    # its fast path takes the weights of layers without calling them
    torch.backends.mha.set_fastpath_enabled(False)
    _check(module, tokenizer, model.source)
    _speak_as_transformers_do(module)
    return BaseModel(
        module=module,
        tokenizer=tokenizer,
        sha256=tensors_sha256(module.state_dict()),
        source=model.source,
        folder=None,
        head={},
        drawn={},
        head_sha256="",
    )


def save_plain(module: nn.Module, weights: dict[str, Tensor], model: ModelConfig, folder: Path) -> None:
    """Writes `config.json`, which names the callable, and `model.safetensors`.

    `safetensors.torch.load_model` reads it into what the callable gives.

    Args:
        weights: all tensors of the module, by the names that they have without an adapter.
    """
    own: dict[object, str] = {}
    for name, value in weights.items():
        # a tied tensor is written once, as `load_model` expects it
        own.setdefault((value.data_ptr(), value.shape) if value.numel() else name, name)
    tensors = {name: weights[name].cpu().contiguous() for name in own.values()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    about = {"source": model.source, "dtype": model.dtype, "class": type(module).__name__}
    (folder / "config.json").write_text(json_text(about) + "\n", encoding="utf-8")


def load_whole(base: BaseModel, folder: Path) -> BaseModel:
    """The base model with the weights that `save_plain` wrote, in place.

    Raises:
        OSError, SafetensorError, RuntimeError: they are missing, damaged or of another model.
    """
    load_model(base.module, folder / "model.safetensors")
    return base


def _called(source: str, seed: int) -> tuple[nn.Module, PreTrainedTokenizerBase | str]:
    make = _imported(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose="model weights") % 2**63)
        try:
            made: object = make()
        # the user's own code may fail in any way
        except Exception as error:
            raise ModelError(f"model.source: {source!r} failed: {type(error).__name__}: {error}") from error
    match made:
        case (nn.Module() as module, (PreTrainedTokenizerBase() | str()) as tokenizer):
            return module, tokenizer
        case _:
            raise ModelError(
                f"model.source: {source!r} gave {_kind(made)}; a torch module and its tokenizer were expected, "
                "or the name of one"
            )


def _imported(source: str) -> Callable[[], object]:
    module, _, path = source.partition(":")
    try:
        found: object = reduce(getattr, path.split("."), importlib.import_module(module))
    # whatever the user's own module does when it is imported
    except Exception as error:
        raise ModelError(
            f"model.source: {source!r} cannot be imported: {error}; is its folder in PYTHONPATH on this machine?"
        ) from error
    if not callable(found):
        raise ModelError(f"model.source: {source!r} is a {type(found).__name__}, a callable was expected")
    return cast("Callable[[], object]", found)


def _kind(made: object) -> str:
    names = [type(part).__name__ for part in made] if isinstance(made, tuple) else [type(made).__name__]
    return " and ".join(names) or "nothing"


def _without_dropout(module: nn.Module) -> None:
    """Per-sample clipping assumes one fixed function; the adapter's own dropout is `training.dropout`."""
    for layer in module.modules():
        for name in ("p", "dropout"):
            if isinstance(vars(layer).get(name), float) and (name == "dropout" or "Dropout" in type(layer).__name__):
                setattr(layer, name, 0.0)


def _check(module: nn.Module, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Whether it is a causal language model of that tokenizer, on six tokens."""
    said = f"model.source: {source!r}"
    ids = torch.arange(2 * _TOKENS).view(2, _TOKENS) % len(tokenizer)
    changed = ids.clone()
    changed[0, -1], changed[1] = ids[0, 0], ids[0]
    try:
        with torch.no_grad():
            logits, others = (_logits(module(each)) for each in (ids, changed))
    # the user's own code may fail in any way
    except Exception as error:
        raise ModelError(f"{said} failed on {_TOKENS} tokens: {type(error).__name__}: {error}") from error
    if not isinstance(logits, Tensor) or logits.shape[:2] != ids.shape or logits.shape[-1] < len(tokenizer):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        wanted = f"logits (2, {_TOKENS}, {len(tokenizer)} or more) were expected"
        raise ModelError(f"{said} gave {shape} for ids of (2, {_TOKENS}); {wanted}")
    first, other = logits[0, :-1].float(), others[0, :-1].float()
    if not torch.allclose(first, other, rtol=_CLOSE, atol=_CLOSE * float(first.abs().max())):
        raise ModelError(
            f"{said} is no causal language model: what it says of a token depends on tokens behind it, or on other rows"
        )


def _logits(out: object) -> Any:  # noqa: ANN401  # of the user's own code
    return getattr(out, "logits", out)


def _speak_as_transformers_do(module: nn.Module) -> None:
    """Lets the module be called as tasks call those of transformers."""
    forward = module.forward

    def speak(input_ids: Tensor, attention_mask: Tensor | None = None, *, use_cache: bool = False) -> SimpleNamespace:  # noqa: ARG001  # padding is behind, and nothing is cached
        return SimpleNamespace(logits=_logits(forward(input_ids)))

    # in the instance, before the class's own: names of parameters stay
    vars(module)["forward"] = speak
