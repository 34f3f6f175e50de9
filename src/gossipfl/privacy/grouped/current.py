"""What the layers of a module know of the pass that is under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gossipfl.errors import PrivacyError
from gossipfl.privacy.grouped.collected import Collected


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass.

    Attributes:
        places: of the trainable parameters in the flat vector.
        values: (groups, …) of each of them.
        collected: takes their gradients.
        anchor: requires a gradient, so that the backward pass comes by every trained layer.
    """

    places: Mapping[nn.Parameter, int]
    values: Sequence[Tensor]
    collected: Collected
    anchor: Tensor

    def place(self, parameter: nn.Parameter | None) -> int | None:
        """In the flat vector; None if it is frozen."""
        return None if parameter is None else self.places.get(parameter)

    def value(self, parameter: nn.Parameter) -> Tensor:
        """(groups, …), equal for all groups if it is frozen."""
        place = self.place(parameter)
        if place is None:
            return parameter.detach().expand(self.collected.layout.groups, *parameter.shape)
        return self.values[place]

    def spread(self, parameter: nn.Parameter, dims: int) -> Tensor:
        """A vector with a copy for each row, (rows, 1, …, features), whose gradient is collected."""
        place = self.place(parameter)
        if place is None:
            return parameter
        layout = self.collected.layout
        values = self.values[place]
        of_rows = values.expand(layout.rows, -1) if layout.groups == 1 else values[layout.group_of_row]
        leaf = of_rows.reshape(layout.rows, *[1] * (dims - 2), values.shape[-1]).detach().requires_grad_()
        collected = self.collected
        leaf.register_hook(  # type: ignore[no-untyped-call]
            lambda grad: collected.add_rows(place, grad.reshape(layout.rows, -1))
        )
        return leaf

    def by_row(self, x: Tensor, layer: str) -> Tensor:
        """A layer's input with a copy for each row, if it got one for the whole batch (position embeddings).

        Raises:
            PrivacyError: it has another number of rows.
        """
        rows = self.collected.layout.rows
        if x.dim() >= 1 and x.shape[0] == rows:
            return x
        if x.dim() >= 2 and x.shape[0] == 1:
            return x.expand(rows, *x.shape[1:])
        raise PrivacyError(f"layer {layer} is fed {tuple(x.shape)} for {rows} rows: not one row per example")
