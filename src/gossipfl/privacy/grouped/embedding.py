"""Embeddings with a table for every group: y_r = W_k[ids_r]; ∂W is by row or by group, see `Collected`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gossipfl.privacy.grouped.collected import Collected


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """One use of a layer.

    Attributes:
        table: (groups, entries, features).
        place: in the flat vector.
        padding: entry without gradient; None for none.
        collected: takes the gradients.
    """

    table: Tensor
    place: int
    padding: int | None
    collected: Collected


class GroupedEmbedding(torch.autograd.Function):
    """`apply(ids, anchor, call)`; the anchor requires a gradient, so that the backward pass comes by."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, _anchor: Tensor, call: EmbeddingCall) -> Tensor:  # noqa: ANN401
        """(rows, …) to (rows, …, features)."""
        ctx.call = call
        ctx.save_for_backward(ids)
        groups, entries, features = call.table.shape
        if groups == 1:
            return torch.nn.functional.embedding(ids, call.table[0])
        start = call.collected.layout.group_of_row * entries
        moved = ids + start.view(-1, *[1] * (ids.dim() - 1))
        return torch.nn.functional.embedding(moved, call.table.reshape(groups * entries, features))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:  # noqa: ANN401
        """Nothing for the ids; the table's gradient goes to `call.collected`."""
        call: EmbeddingCall = ctx.call
        (ids,) = ctx.saved_tensors
        grad = grads[0]
        if call.padding is not None:
            grad = grad.masked_fill((ids == call.padding)[..., None], 0.0)
        call.collected.add_entries(call.place, ids, grad)
        return None, None, None
