"""LoRA through PEFT; FFA-LoRA: the same with A frozen; alternating: with A and B frozen in turn.

    ΔW = scale · B · A        A (rank, in) uniform from the seed, B (out, rank) zero

`lora` trains and exchanges both: the average of the factors is not the average of ΔW, it is off by
Σ w_i (B_i − B̄)(A_i − Ā). `ffa` trains and exchanges B alone: then it is. `alternating` exchanges both and trains one, B
in the first T phases (while B = 0 nothing would reach A), A in the next T, and so on: the average is off by as much as
the nodes do not agree on the factor that rests, and nothing is frozen for good. T ~ 1/√(1 − λ) phases let them agree.

Every node starts from the same A: the mean of n independent A's would shrink as 1/√n.

Source: Hu et al. (2106.09685); FFA-LoRA, Sun et al. (2403.12313); RoLoRA, Chen et al. (2502.01755); TAD-LoRA
(2602.00451).
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from gossipfl.core.factors import MERGED
from gossipfl.core.rng import generator
from gossipfl.learning.adapters.adapted import LowRank, Parts
from gossipfl.learning.adapters.folded import Fold, fold_of
from gossipfl.learning.adapters.request import AdapterRequest
from gossipfl.learning.adapters.sites import Site, find_sites
from gossipfl.state import AdapterState

_NAME = "default"
"""PEFT's name of the one adapter."""


def build_lora(request: AdapterRequest) -> Parts:
    """A and B of every targeted layer; the scale is 2 unless alpha is given."""
    sites = find_sites(request.base, request.config)
    trained: dict[str, nn.Parameter] = {}
    folds: dict[str, Fold] = {}
    for site in _inject(request, sites):
        trained[f"{site.name}.lora_A"] = _factor(site, "lora_A")
        trained[f"{site.name}.lora_B"] = _factor(site, "lora_B")
        if request.config.merge in {"exact", "stack"}:
            folds[site.name + MERGED] = fold_of(site, site.layer.get_parameter("base_layer.weight"))
    factors = partial(_both, [site.name for site in sites])
    return Parts(trained, _scale(request), request.config.rank, factors, folds=folds)


def build_ffa(request: AdapterRequest) -> Parts:
    """B of every targeted layer over a common frozen A; the scale is 2 unless alpha is given."""
    injected = _inject(request, find_sites(request.base, request.config))
    trained = {f"{site.name}.lora_B": _factor(site, "lora_B") for site in injected}
    frozen = {site.name: _factor(site, "lora_A").detach().numpy().copy() for site in injected}
    digest = hashlib.sha256(b"".join(A.astype("<f4").tobytes() for A in frozen.values())).hexdigest()
    return Parts(trained, _scale(request), request.config.rank, partial(_over, frozen), frozen=digest)


def build_alternating(request: AdapterRequest) -> Parts:
    """As `lora`; B is trained in the first `alternate_every` phases, A in the next, and so on."""
    parts = build_lora(request)
    A, B = (frozenset(name for name in parts.trained if name.endswith(end)) for end in (".lora_A", ".lora_B"))
    return replace(parts, resting=(A, B), turn_phases=request.config.alternate_every)


def _inject(request: AdapterRequest, sites: Sequence[Site]) -> list[Site]:
    """PEFT's layers around the targeted ones, with our start values."""
    config = LoraConfig(
        r=request.config.rank,
        lora_alpha=_scale(request) * request.config.rank,
        lora_dropout=request.dropout,
        target_modules=[site.name for site in sites],
        fan_in_fan_out=all(site.transposed for site in sites),
        init_lora_weights=False,
    )
    # PEFT draws values of its own first
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, request.base.module, adapter_name=_NAME)
    injected = [Site(site.name, request.base.module.get_submodule(site.name), site.transposed) for site in sites]
    for site in injected:
        _start(site, request.seed)
    return injected


def _start(site: Site, seed: int) -> None:
    for name in ("lora_A", "lora_B"):
        # PEFT takes over the base weight's type
        site.layer.get_submodule(f"{name}.{_NAME}").float()
    A, B = _factor(site, "lora_A"), _factor(site, "lora_B")
    bound = 1 / math.sqrt(A.shape[1])
    values = generator(seed, purpose=f"lora_A {site.name}").uniform(-bound, bound, tuple(A.shape))
    with torch.no_grad():
        A.copy_(torch.from_numpy(values))
        B.zero_()


def _factor(site: Site, name: str) -> nn.Parameter:
    return site.layer.get_parameter(f"{name}.{_NAME}.weight")


def _scale(request: AdapterRequest) -> float:
    return request.config.scale(request.config.rank)


def _both(layers: Sequence[str], state: AdapterState) -> Iterator[LowRank]:
    for layer in layers:
        yield LowRank(layer, state.segment(f"{layer}.lora_A"), state.segment(f"{layer}.lora_B"))


def _over(frozen: Mapping[str, NDArray[np.float32]], state: AdapterState) -> Iterator[LowRank]:
    for layer, A in frozen.items():
        yield LowRank(layer, A, state.segment(f"{layer}.lora_B"))
