"""A base model of fake tensors with a stand-in for its adapter: shapes and types, no weights and no memory.

    layer(x)  ──────────────────────────────> + ──> y        lora, ffa, alternating: up · down
      x ── down (rank, in) ─ middle ─ up (out, rank) ──┘     core: up · middle · down, of which the middle is trained

It is what `gossipfl.learning.footprint` runs. PEFT's own layers cannot be put into fake models.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gossipfl.config.experiment import Experiment
from gossipfl.learning.adapters.sites import find_sites
from gossipfl.learning.base import BaseModel
from gossipfl.learning.checkpointing import checkpoint_activations
from gossipfl.learning.pretrained import empty_model

_TRAINED: Mapping[str, tuple[str, ...]] = {
    "lora": ("down", "up"),
    "alternating": ("down", "up"),
    "ffa": ("up",),
    "core": ("middle",),
}
"""`adapter.kind` to the factors that are trained."""


def skeleton(experiment: Experiment, folder: Path) -> nn.Module:
    """The model with a stand-in for its adapter, in training mode; to be called under `FakeTensorMode`.

    Args:
        folder: of the base model's files, of which the configuration alone is read.

    Raises:
        ModelError: the configuration fits no model of the task, or the adapter no layer.
    """
    module, head = empty_model(experiment.model, experiment.task, folder)
    config: Any = module.config
    words = getattr(config.get_text_config(), "vocab_size", None)
    # a model of images has none
    if words is not None:
        # a token that is in no row: all are as long as they can be
        config.pad_token_id = config.get_text_config().pad_token_id = words - 1
    # a cache of keys and values serves generation only
    config.use_cache = False
    whole = experiment.adapter.kind == "full"
    module.requires_grad_(requires_grad=whole)
    if not whole:
        base = BaseModel(module, None, "", "", folder, head, {}, "")
        for site in find_sites(base, experiment.adapter):
            module.set_submodule(site.name, _Update(site.layer, site.shape, experiment))
    for parameter in head.values():
        parameter.requires_grad = experiment.adapter.train_head
    if experiment.training.gradient_checkpointing:
        checkpoint_activations(module)
    return module.train()


class _Update(nn.Module):
    """A layer with factors beside it."""

    def __init__(self, layer: nn.Module, shape: tuple[int, int], experiment: Experiment) -> None:
        super().__init__()
        out_features, in_features = shape
        rank, kind = experiment.adapter.rank, experiment.adapter.kind
        self.base_layer = layer
        self.down = nn.Linear(in_features, rank, bias=False)
        self.middle = nn.Linear(rank, rank, bias=False) if kind == "core" else nn.Identity()
        self.up = nn.Linear(rank, out_features, bias=False)
        for name in ("down", "middle", "up"):
            self.get_submodule(name).requires_grad_(requires_grad=name in _TRAINED.get(kind, ("down", "up")))

    def forward(self, x: Tensor) -> Tensor:
        """As a real one computes."""
        plain: Tensor = self.base_layer(x)
        update: Tensor = self.up(self.middle(self.down(x.to(torch.float32))))
        return plain + (2.0 * update).to(plain.dtype)
