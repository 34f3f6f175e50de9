"""Gradients of many groups for layers of any kind: `torch.func.vmap` over rows, each with the values of its group.

For small models whose trained parameters are not all in layers that can be grouped; rows × trainable × 4 bytes at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.layout import Layout
from gossipfl.privacy.grouped.memory import is_memory
from gossipfl.privacy.rows import RowLosses, Rows


class StackedEngine:
    """Gradients by row or by group, as `GroupedEngine` gives them."""

    def __init__(self, module: nn.Module, losses: RowLosses) -> None:
        self._module = module
        self._losses = losses
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._gradient = vmap(grad(self._loss), randomness="different")

    def shared(self) -> list[Tensor]:
        """The module's own values as those of one group, (1, …) each."""
        return [parameter.detach()[None] for parameter in self.parameters.values()]

    def set_dropout(self, *, on: bool) -> None:
        """Puts the module into training or evaluation mode."""
        self._module.train(on)

    def gradients(self, rows: Rows, layout: Layout, values: Sequence[Tensor], *, by_row: bool) -> list[Tensor]:
        """As `GroupedEngine.gradients`.

        Raises:
            PrivacyError: torch cannot vectorize the model.
            RuntimeError: memory has run out.
        """
        of_rows = [value[layout.group_of_row] for value in values]
        found = self._run(dict(zip(self.parameters, of_rows, strict=True)), rows)
        weights = rows.weights()
        weighted = [gradient * weights.view(-1, *[1] * (gradient.dim() - 1)) for gradient in found]
        if by_row:
            return weighted
        empty = [torch.zeros(layout.groups, *gradient.shape[1:], device=layout.device) for gradient in weighted]
        return [into.index_add_(0, layout.group_of_row, part) for into, part in zip(empty, weighted, strict=True)]

    def probe(self, rows: Rows) -> None:
        """Tries one row.

        Raises:
            PrivacyError: torch cannot vectorize the model.
        """
        self._run(dict(zip(self.parameters, self.shared(), strict=True)), rows.row(0))

    def clear(self) -> None:
        """Nothing is kept."""

    def _run(self, values: dict[str, Tensor], rows: Rows) -> list[Tensor]:
        tensors = {name: tensor[:, None] for name, tensor in rows.tensors.items()}
        try:
            found = self._gradient(values, tensors)
        # vmap says in many ways that it cannot
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            if is_memory(error):
                raise
            reason = " ".join(str(error).split())[:200]
            raise PrivacyError(f"torch cannot vectorize the model: {type(error).__name__}: {reason}") from error
        return [found[name] for name in self.parameters]

    def _loss(self, values: dict[str, Tensor], tensors: dict[str, Tensor]) -> Tensor:
        return self._losses(_Called(self._module, values), tensors)[0]


class _Called(nn.Module):
    """A module called with other values of its parameters."""

    def __init__(self, module: nn.Module, values: dict[str, Tensor]) -> None:
        super().__init__()
        # not registered as a child: its parameters are not this one's
        vars(self)["inner"] = module
        vars(self)["values"] = values

    def forward(self, *inputs: object, **named: object) -> object:
        """The module's own."""
        return functional_call(vars(self)["inner"], vars(self)["values"], inputs, named)
