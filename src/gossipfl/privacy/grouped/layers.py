"""The layers that can be grouped, and how each then computes.

    Linear, Conv1D (GPT-2)      a weight for each group: `linear`
    Embedding                   a table for each group: `embedding`
    LayerNorm, RMSNorm, …       vectors that scale and shift: a copy for each row, by torch's own rules

Every other layer with trained parameters cannot be grouped. Frozen layers run as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gossipfl.privacy.grouped.current import Pass
from gossipfl.privacy.grouped.embedding import EmbeddingCall, GroupedEmbedding
from gossipfl.privacy.grouped.linear import GroupedLinear, LinearCall

Forward = Callable[[nn.Module, Pass, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class GroupedLayer:
    """A layer with trained parameters.

    Attributes:
        name: in the module.
        layer: itself.
        forward: what it does in a pass.
    """

    name: str
    layer: nn.Module
    forward: Forward

    def run(self, current: Pass, x: Tensor) -> Tensor:
        """The layer's output in a pass."""
        return self.forward(self.layer, current, current.by_row(x, self.name))


def find_layers(module: nn.Module) -> tuple[list[GroupedLayer], str]:
    """The layers with trained parameters; and why they cannot be grouped, or an empty string."""
    found = []
    for name, layer in module.named_modules():
        if not any(parameter.requires_grad for parameter in layer.parameters(recurse=False)):
            continue
        forward = _forward_of(layer)
        if forward is None:
            return [], f"layer {name or 'itself'} is a {type(layer).__name__}, which cannot be grouped"
        if "forward" in vars(layer):
            return [], f"layer {name or 'itself'} has had its forward method replaced already"
        found.append(GroupedLayer(name or "itself", layer, forward))
    return found, ""


def _forward_of(layer: nn.Module) -> Forward | None:
    # a subclass that computes otherwise is not what its base class is
    kind = type(layer).forward
    if kind is nn.Linear.forward or _is_conv1d(layer):
        return _linear
    if kind is nn.Embedding.forward:
        return _embedding if _is_plain_table(layer) else None
    if kind is nn.LayerNorm.forward:
        return _layer_norm if layer.get_parameter("weight").dim() == 1 else None
    if kind is nn.RMSNorm.forward:
        return _rms_norm if layer.get_parameter("weight").dim() == 1 else None
    return _scaling if _is_scaling(layer) else None


def _is_conv1d(layer: nn.Module) -> bool:
    """GPT-2's layer: weight (in, out), and `nf` outputs."""
    weight = getattr(layer, "weight", None)
    shaped = isinstance(weight, Tensor) and weight.dim() == 2 and getattr(layer, "nf", None) == weight.shape[1]
    return shaped and type(layer).__name__ == "Conv1D"


def _is_plain_table(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Embedding) and layer.max_norm is None and not layer.scale_grad_by_freq and not layer.sparse
    )


def _is_scaling(layer: nn.Module) -> bool:
    """A norm of somebody else's, with nothing but vectors along the last dimension: Llama's, T5's."""
    name = type(layer).__name__
    vectors = all(parameter.dim() == 1 for parameter in layer.parameters())
    over_batch = any(word in name for word in ("Batch", "Instance", "Group"))
    return "Norm" in name and vectors and not over_batch and not any(True for _ in layer.children())


def _linear(layer: nn.Module, current: Pass, x: Tensor) -> Tensor:
    weight = layer.get_parameter("weight")
    bias = layer.bias if isinstance(layer.bias, nn.Parameter) else None
    call = LinearCall(
        weight=current.value(weight),
        bias=None if bias is None else current.value(bias),
        transposed=_is_conv1d(layer),
        weight_place=current.place(weight),
        bias_place=current.place(bias),
        collected=current.collected,
    )
    out: Tensor = GroupedLinear.apply(x, current.anchor, call)  # type: ignore[no-untyped-call]
    return out


def _embedding(layer: nn.Module, current: Pass, ids: Tensor) -> Tensor:
    weight = layer.get_parameter("weight")
    padding = layer.padding_idx if isinstance(layer.padding_idx, int) else None
    call = EmbeddingCall(current.value(weight), current.places[weight], padding, current.collected)
    out: Tensor = GroupedEmbedding.apply(ids, current.anchor, call)  # type: ignore[no-untyped-call]
    return out


def _layer_norm(layer: nn.Module, current: Pass, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.LayerNorm)  # noqa: S101  # its forward is
    out = torch.nn.functional.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    out = out * current.spread(layer.weight, x.dim())
    return out if layer.bias is None else out + current.spread(layer.bias, x.dim())


def _rms_norm(layer: nn.Module, current: Pass, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.RMSNorm)  # noqa: S101  # its forward is
    weight = layer.get_parameter("weight")
    return torch.nn.functional.rms_norm(x, layer.normalized_shape, eps=layer.eps) * current.spread(weight, x.dim())


def _scaling(layer: nn.Module, current: Pass, x: Tensor) -> Tensor:
    own = layer._parameters  # noqa: SLF001  # as torch.func.functional_call does
    kept = dict(own)
    for name, parameter in kept.items():
        if parameter is not None:
            own[name] = current.spread(parameter, x.dim())  # type: ignore[assignment]
    try:
        out: Tensor = type(layer).forward(layer, x)
    finally:
        own.update(kept)
    return out
