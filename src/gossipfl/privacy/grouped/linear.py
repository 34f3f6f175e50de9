"""Linear layers with a weight for every group.

y_r = x_r W_kᵀ + b_k        row r of group k: one bmm over each block of groups, or one matrix product for one group
∂W  = gᵀ x                  by row or by group, see `Collected`; ∂b = Σ g
∂x_r = g_r W_k
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gossipfl.privacy.grouped.collected import Collected


@dataclass(frozen=True, slots=True)
class LinearCall:
    """One use of a layer.

    Attributes:
        weight: (groups, out, in); transposed (groups, in, out).
        bias: (groups, out), or None.
        transposed: GPT-2's layer.
        weight_place: in the flat vector; None is frozen.
        bias_place: in the flat vector; None is frozen or not there.
        collected: takes the gradients.
    """

    weight: Tensor
    bias: Tensor | None
    transposed: bool
    weight_place: int | None
    bias_place: int | None
    collected: Collected

    @property
    def by_input(self) -> Tensor:
        """(groups, in, out)."""
        return self.weight if self.transposed else self.weight.mT


class GroupedLinear(torch.autograd.Function):
    """`apply(x, anchor, call)`; the anchor requires a gradient, so that the backward pass comes by."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, _anchor: Tensor, call: LinearCall) -> Tensor:  # noqa: ANN401
        """(rows, …, in) to (rows, …, out)."""
        kind = _kind(x)
        ctx.input_type = x.dtype
        rows = x.reshape(x.shape[0], -1, x.shape[-1]).to(kind)
        ctx.call = call
        ctx.save_for_backward(rows)
        with torch.autocast(x.device.type, enabled=False):
            out = _times(rows, call.by_input.to(kind), None if call.bias is None else call.bias.to(kind), call)
        return out.view(*x.shape[:-1], out.shape[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:  # noqa: ANN401
        """∂x; the layer's own gradients go to `call.collected`."""
        call: LinearCall = ctx.call
        (rows,) = ctx.saved_tensors
        grad = grads[0]
        flat = grad.reshape(rows.shape[0], -1, grad.shape[-1])
        if call.weight_place is not None:
            left, right = (rows, flat) if call.transposed else (flat, rows)
            call.collected.add_product(call.weight_place, left, right)
        if call.bias_place is not None:
            call.collected.add_rows(call.bias_place, flat.sum(1))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        found = _times(flat, call.by_input.to(flat.dtype).mT, None, call)
        return found.view(*grad.shape[:-1], found.shape[-1]).to(ctx.input_type), None, None


def _times(rows: Tensor, matrices: Tensor, bias: Tensor | None, call: LinearCall) -> Tensor:
    """(rows, middle, a) times the matrices (groups, a, b) of their groups."""
    blocks = call.collected.layout.blocks
    if len(blocks) == 1:
        return _block(blocks[0].of_rows(rows), matrices, bias).view(*rows.shape[:-1], matrices.shape[-1])
    out = rows.new_empty(*rows.shape[:-1], matrices.shape[-1])
    for block in blocks:
        part = _block(block.of_rows(rows), matrices[block.groups], None if bias is None else bias[block.groups])
        out[block.rows].view(part.shape).copy_(part)
    return out


def _block(rows: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
    if len(matrices) == 1:
        return torch.nn.functional.linear(rows, matrices[0].T, None if bias is None else bias[0])
    return torch.bmm(rows, matrices) if bias is None else torch.baddbmm(bias[:, None], rows, matrices)


def _kind(x: Tensor) -> torch.dtype:
    """The type that a linear layer computes in here."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
