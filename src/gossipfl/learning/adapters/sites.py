"""The layers an adapter goes into: those whose name ends like one of the targets.

    Linear  weight (out, in)
    Conv1D  weight (in, out): GPT-2's transposed layer

Everything above sees weights as (out, in).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from gossipfl.config.experiment import AdapterConfig
from gossipfl.config.model import ALL_LINEAR
from gossipfl.errors import ModelError
from gossipfl.learning.adapters.past import passed_by
from gossipfl.learning.base import BaseModel

_OWN = {"vit": ("q_proj", "v_proj")}
"""Where PEFT has nothing, or names of older layers."""


@dataclass(frozen=True, slots=True)
class Site:
    """One targeted layer of the base model.

    Attributes:
        name: in the base model, without any wrapper of an adapter.
        layer: the layer itself.
        transposed: its weight is (in, out).
    """

    name: str
    layer: nn.Module
    transposed: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        if isinstance(self.layer, nn.Linear):
            # the weight of a quantized one is packed
            return self.layer.out_features, self.layer.in_features
        out_features, in_features = self.weight().shape
        return out_features, in_features

    def weight(self) -> Tensor:
        """The frozen weight as (out, in), a view."""
        weight: Tensor = self.layer.get_parameter("weight").detach()
        return weight.T if self.transposed else weight

    def matrix(self) -> NDArray[np.float64]:
        """The frozen weight as (out, in), copied to float64."""
        matrix: NDArray[np.float64] = self.weight().double().cpu().numpy()
        return matrix


def find_sites(base: BaseModel, config: AdapterConfig) -> list[Site]:
    """The layers to adapt, in the model's own order, each with room for `adapter.rank`.

    Without targets: PEFT's choice where it knows the architecture, else all linear layers of the body.

    Raises:
        ModelError: no layer's name ends like a target, one cannot be adapted or is smaller than the rank, or there is
            no linear layer.
    """
    passed = passed_by(base.module)
    candidates = [site for site in _linear_layers(base.module) if not _in_head(site.name, base)]
    if ALL_LINEAR in config.targets:
        sites = _all_linear(base, candidates, passed)
    elif config.targets:
        sites = _named(config.targets, candidates or _all_linear(base, candidates, passed), passed)
    else:
        sites = _usual(base, candidates, passed)
    for site in sites:
        _check_rank(site, config)
    return sites


def _check_rank(site: Site, config: AdapterConfig) -> None:
    if config.rank > min(site.shape):
        whose = "adapter.mixed_ranks: a node's rank" if config.mixed_ranks else "adapter.rank:"
        raise ModelError(
            f"{whose} {config.rank} does not fit layer {site.name} of {site.shape[0]} x {site.shape[1]}; "
            f"at most {min(site.shape)}"
        )


def _linear_layers(module: nn.Module) -> list[Site]:
    return [
        Site(name, layer, isinstance(layer, Conv1D))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | Conv1D)
    ]


def _in_head(name: str, base: BaseModel) -> bool:
    return f"{name}.weight" in base.head


def _ends_like(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _named(targets: Sequence[str], candidates: Sequence[Site], passed: Mapping[str, str]) -> list[Site]:
    """Those whose names end like one of the targets."""
    for target in targets:
        if not any(_ends_like(site.name, target) for site in candidates):
            raise ModelError(f"adapter.targets: {target!r} matches no layer; there are {_endings(candidates)}")
    sites = [site for site in candidates if any(_ends_like(site.name, target) for target in targets)]
    for site in sites:
        if site.name in passed:
            raise ModelError(f"adapter.targets: {site.name} cannot be adapted: {passed[site.name]}")
    return sites


def _usual(base: BaseModel, candidates: Sequence[Site], passed: Mapping[str, str]) -> list[Site]:
    """What PEFT takes for the architecture; a pattern in place of names is PEFT's way for mixed models only."""
    kind = getattr(getattr(base.module, "config", None), "model_type", "unknown")
    usual = _OWN.get(kind) or TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(kind, ())
    if isinstance(usual, str) or not usual:
        return _all_linear(base, candidates, passed)
    free = [site for site in candidates if site.name not in passed]
    lost = {target for target in usual if any(_ends_like(name, target) for name in passed)}
    wanted = [target for target in usual if target not in lost or any(_ends_like(site.name, target) for site in free)]
    return _named(wanted, free, {})


def _all_linear(base: BaseModel, candidates: Sequence[Site], passed: Mapping[str, str]) -> list[Site]:
    """All linear layers but the one that gives the words, those that share their weight, and those passed by."""
    words = getattr(base.module, "get_output_embeddings", lambda: None)()
    uses = Counter(id(parameter) for _, parameter in base.module.named_parameters(remove_duplicate=False))
    body = [site for site in candidates if site.layer is not words and uses[id(site.layer.weight)] == 1]
    sites = [site for site in body if site.name not in passed]
    if not sites:
        kinds = {type(layer).__name__ for layer in base.module.modules() if list(layer.parameters(recurse=False))}
        raise ModelError(
            f"adapter.targets: the model has no linear layer to adapt; its layers are {', '.join(sorted(kinds))}"
            f"{_none_of(candidates, passed)}; adapter.kind full trains them all"
        )
    return sites


def _none_of(candidates: Sequence[Site], passed: Mapping[str, str]) -> str:
    """Why linear layers do not count."""
    if not candidates:
        return ""
    first = candidates[0].name
    return f"; {first}: {passed.get(first, 'it gives the words, or shares its weight with another layer')}"


def _endings(candidates: Iterable[Site]) -> str:
    names = sorted({_ending(site.name) for site in candidates})
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _ending(name: str) -> str:
    """The last word of a name; of one in a sequence, whose number says nothing, with what is before it."""
    *before, last = name.rsplit(".", 2)[-2:]
    return ".".join([*before, last]) if last.isdecimal() else last
