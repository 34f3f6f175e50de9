"""Layers whose weight a model uses otherwise than by calling them: an adapter around one would be passed by.

    y = layer(x)              an adapter adds ΔW x
    y = fused(x, layer.weight)    ΔW has no part

Found by the class of the module that owns them, not by watching a run: a fused kernel runs on some machines only, and
all nodes must adapt the same layers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class _Rule:
    """Of one kind of module.

    Attributes:
        owner: matches the name of its class.
        layers: names of its children.
        reason: why they cannot be adapted.
    """

    owner: re.Pattern[str]
    layers: tuple[str, ...]
    reason: str


_FUSED = "training on a GPU hands its weight to a fused kernel"
_RESCALED = "transformers divides its weight for inference, and would not divide an update beside it"
_RULES = (
    _Rule(re.compile("[MB]amba|FalconH1Mixer|NemotronH"), ("x_proj", "dt_proj", "out_proj"), _FUSED),
    _Rule(re.compile("^RwkvSelfAttention$"), ("output",), _RESCALED),
    _Rule(re.compile("^RwkvFeedForward$"), ("value",), _RESCALED),
    _Rule(re.compile("^MultiheadAttention$"), ("out_proj",), "its owner uses the weight without calling the layer"),
)


def passed_by(module: nn.Module) -> Mapping[str, str]:
    """Names of the linear layers that cannot be adapted, with the reason."""
    found = {}
    for name, owner in module.named_modules():
        for rule in _RULES:
            if rule.owner.search(type(owner).__name__):
                own = {child for child, layer in owner.named_children() if isinstance(layer, nn.Linear)}
                found.update({f"{name}.{child}".lstrip("."): rule.reason for child in rule.layers if child in own})
    return found
