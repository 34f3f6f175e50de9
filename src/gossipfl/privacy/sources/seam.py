"""Where gradients come from: what every source offers.

    rows of a micro-batch ──> source ──> + Σ_units (clipped) gradient ──> one flat fp32 vector

The vector holds the module's trainable parameters one behind the other, in the order of `module.parameters()`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.clip import Clip

Places = frozenset[int]
"""Some of the trainable parameters, by their number in the order of `module.parameters()`."""
NOBODY: Places = frozenset()


class GradientSource(Protocol):
    """Sums of unit gradients of one module, micro-batch by micro-batch."""

    def add(self, rows: Rows, clip: Clip | None, into: Tensor, resting: Places = NOBODY) -> None:
        """Adds the sum of the unit gradients of a micro-batch to a flat vector.

        Args:
            clip: bounds one unit's gradient; None does not clip.
            into: (size,) fp32; what is in it after an error is to be thrown away.
            resting: parameters that are not trained now: nothing is added there, nor counted in the norm.

        Guarantees:
            No gradient is left on the module's parameters. With a clip, values that are not finite count as 0.
        """
        ...

    def clear(self) -> None:
        """Frees what the last call left, also when it failed half-way."""
        ...

    def close(self) -> None:
        """Takes everything off the module."""
        ...


class UnitSource(GradientSource, Protocol):
    """A source that knows the gradient of each unit by itself."""

    def unit_gradients(self, rows: Rows) -> Sequence[Tensor]:
        """(units, …) fp32, one for each trainable parameter; valid until the next call."""
        ...


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """What is trained, in the order of the flat vector; a tied parameter counts once."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def pieces(flat: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Views of a flat vector, one in the shape of each parameter."""
    parts = torch.split(flat, [parameter.numel() for parameter in parameters])
    return [part.view(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]


def zeros_for(module: nn.Module) -> Tensor:
    """A flat fp32 vector of zeros on the module's device."""
    parameters = trainable(module)
    device = parameters[0].device if parameters else None
    return torch.zeros(sum(parameter.numel() for parameter in parameters), device=device)


def summed(
    source: GradientSource, batches: Iterable[Rows], clip: Clip | None, into: Tensor, resting: Places = NOBODY
) -> None:
    """Adds the unit gradients of all micro-batches; a micro-batch without rows adds nothing."""
    for rows in batches:
        if rows.count:
            source.add(rows, clip, into, resting)
