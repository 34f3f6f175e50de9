"""What training takes in memory, told before anything is loaded: one pass of a model of fake tensors.

    weights          of the base, in `model.dtype` or quantized, with the factors that are frozen
    adapter          copies of all trained values: parameter, gradient, moments, and the states that a node keeps
    activations      the most that lives at once beside them in one forward and backward pass of a micro-batch
    unit_gradients   micro_batch × trained values × 4 bytes, at level example

Fake tensors go through the model's own code and have no content: activations are those of this family, length,
vocabulary and type, not of a formula for all. Rows are taken as `task.max_length` long, every token in the loss.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gossipfl.config.experiment import Experiment
from gossipfl.errors import ModelError
from gossipfl.learning.fake_pass import inputs, peak_of_pass
from gossipfl.learning.skeleton import skeleton
from gossipfl.learning.sources import locate

STATES = 6
"""States that a node keeps beside parameters, gradients and moments: start, snapshot, trained, mixed, sent, saved."""
MERGED = 2
"""More of them where each period has an adapter: what the newest is off from the mean, and where it begins a phase."""
_QUANTIZED = {"int8": 1.0, "nf4": 0.5 + 4 / 64}
"""Bytes of a weight; nf4 has an fp32 scale for every 64."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that training takes beside the process itself.

    Attributes:
        weights, adapter, activations, unit_gradients: see above.
        micro_batch: rows of a pass.
    """

    weights: int
    adapter: int
    activations: int
    unit_gradients: int
    micro_batch: int

    @property
    def by_rows(self) -> int:
        """What grows with `micro_batch`."""
        return self.activations + self.unit_gradients

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapter + self.by_rows


def footprint(
    experiment: Experiment, folder: Path, *, neighbors: int = 0, autocast: torch.dtype | None = None
) -> Footprint:
    """What an experiment with a model of transformers takes at one node.

    Args:
        folder: where experiment.yaml lies.
        neighbors: each has a state here.
        autocast: type the model computes in on a GPU; None: that of its weights.

    Raises:
        ModelError: there is no such model, its configuration does not fit task or adapter, or its family computes what
            depends on values.
        ConfigError: its layers cannot be checkpointed.
    """
    base = locate(experiment.model, folder=folder).folder
    training = experiment.training
    with FakeTensorMode():
        module = skeleton(experiment, base)
        trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        weights = _weights(module, experiment.model.quantization)
        activations = _activations(module, experiment, autocast)
    return Footprint(
        weights=weights,
        adapter=(2 + _moments(experiment) + states_of(experiment) + neighbors) * trained * 4,
        activations=activations,
        unit_gradients=training.micro_batch * trained * 4 if experiment.privacy.level == "example" else 0,
        micro_batch=training.micro_batch,
    )


def _activations(module: nn.Module, experiment: Experiment, autocast: torch.dtype | None) -> int:
    try:
        rows = inputs(module, experiment.training.micro_batch, experiment.task.max_length)
        return peak_of_pass(module, rows, autocast)
    # whatever a model's own code makes of tensors without content
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"a pass without weights fails: {type(error).__name__}: {reason}") from error


def _moments(experiment: Experiment) -> int:
    training = experiment.training
    if training.optimizer == "sgd":
        return 1 if training.momentum else 0
    return 2


def states_of(experiment: Experiment) -> int:
    """How many states a node keeps, see `STATES`."""
    return STATES + (MERGED if experiment.data.watch and experiment.training.continual == "merged" else 0)


def _weights(module: nn.Module, quantization: str) -> int:
    """Of all that is frozen; of a quantized model the linear layers inside are small, what is before and behind not."""
    each = _QUANTIZED.get(quantization)
    small = set()
    if each is not None:
        model: Any = module
        ends = {id(model.get_output_embeddings()), id(model.get_input_embeddings())}
        linear = (layer for layer in module.modules() if isinstance(layer, nn.Linear) and id(layer) not in ends)
        small = {id(layer.weight) for layer in linear}
    frozen = [own for own in module.parameters() if not own.requires_grad]
    sizes = [own.numel() * (each if each and id(own) in small else own.element_size()) for own in frozen]
    return round(sum(sizes)) + sum(own.numel() * own.element_size() for own in module.buffers())
