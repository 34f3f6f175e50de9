"""Small models of vectors, for experiments: built here, drawn from the experiment's seed, trained whole.

    logistic   x ──Linear──> logits                                 multinomial logistic regression
    mlp        x ──Linear── ReLU ── … ──Linear──> logits            weights N(0, 2/in), before the logits N(0, 1/in)

Source of the scale before a ReLU: He et al. (2015).
"""

import hashlib
import json
import math
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from gossipfl.config.experiment import ModelConfig, TaskConfig
from gossipfl.core.rng import generator
from gossipfl.learning.base import BaseModel, parameters_sha256

_OUTPUT = "output"


def build_builtin(model: ModelConfig, task: TaskConfig, *, seed: int) -> BaseModel:
    """The model that `model.source` names, (rows, inputs) fp32 to (rows, labels) logits.

    Guarantees:
        Equal on every machine for equal arguments; torch's global generators are neither used nor changed.
    """
    widths = (model.inputs or 0, *model.hidden, len(task.labels))
    module = _layers(widths)
    for name, layer in module.named_children():
        if isinstance(layer, nn.Linear):
            _draw(layer, name, seed=seed)
    definition = json.dumps({"model": model.source, "widths": widths})
    return BaseModel(
        module=module.requires_grad_(requires_grad=False).eval(),
        tokenizer=None,
        sha256=hashlib.sha256(definition.encode()).hexdigest(),
        source=model.source,
        folder=None,
        head={},
        drawn={},
        head_sha256=parameters_sha256(dict(module.named_parameters())),
    )


def save_builtin(module: nn.Module, model: ModelConfig, task: TaskConfig, folder: Path) -> None:
    """Writes `model.safetensors`, and `config.json` that says how its tensors make a model."""
    save_file(
        {name: value.cpu().contiguous() for name, value in module.state_dict().items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    layers = {name: str(layer) for name, layer in module.named_children()}
    about = {**model.model_dump(include={"source", "inputs", "hidden"}), "labels": task.labels, "layers": layers}
    (folder / "config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    *hidden, output = pairwise(widths)
    for place, (width, wider) in enumerate(hidden, 1):
        layers[f"hidden_{place}"] = _linear(width, wider)
        layers[f"relu_{place}"] = nn.ReLU()
    layers[_OUTPUT] = _linear(*output)
    return nn.Sequential(layers)


def _linear(in_features: int, out_features: int) -> nn.Linear:
    # on the meta device nothing is drawn from torch's generator: the values are replaced
    return nn.Linear(in_features, out_features, device="meta").to_empty(device="cpu")


def _draw(layer: nn.Linear, name: str, *, seed: int) -> None:
    deviation = math.sqrt((1 if name == _OUTPUT else 2) / layer.in_features)
    values = generator(seed, purpose=f"weights {name}").normal(0.0, deviation, tuple(layer.weight.shape))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(values))
        layer.bias.zero_()
