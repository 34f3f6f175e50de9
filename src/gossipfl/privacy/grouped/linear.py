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
from gossipfl.privacy.grouped.layout import Block


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
        ctx.call = call
        ctx.input_type = x.dtype
        device = x.device.type
        if not torch.is_autocast_enabled(device):
            ctx.save_for_backward(x)
            return _times(x, call.by_input, call.bias, call)
        kind = torch.get_autocast_dtype(device)
        x = x.to(kind)
        ctx.save_for_backward(x)
        with torch.autocast(device, enabled=False):
            return _times(x, call.by_input.to(kind), None if call.bias is None else call.bias.to(kind), call)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:  # noqa: ANN401
        """∂x; the layer's own gradients go to `call.collected`."""
        call: LinearCall = ctx.call
        (x,) = ctx.saved_tensors
        grad = grads[0]
        if call.weight_place is not None:
            left, right = (x, grad) if call.transposed else (grad, x)
            call.collected.add_product(call.weight_place, _by_middle(left), _by_middle(right))
        if call.bias_place is not None:
            call.collected.add_rows(call.bias_place, _by_middle(grad).sum(1))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return _times(grad, call.by_input.to(grad.dtype).mT, None, call).to(ctx.input_type), None, None


def _times(x: Tensor, matrices: Tensor, bias: Tensor | None, call: LinearCall) -> Tensor:
    """(rows, …, a) times the matrices (groups, a, b) of their groups."""
    if len(matrices) == 1:
        return torch.nn.functional.linear(x, matrices[0].T, None if bias is None else bias[0])
    blocks = call.collected.layout.blocks
    shape = (*x.shape[:-1], matrices.shape[-1])
    if len(blocks) == 1:
        return _block(blocks[0], x, matrices, bias).view(shape)
    out = x.new_empty(shape)
    for block in blocks:
        part = out[block.rows]
        part.copy_(_block(block, x, matrices, bias).view(part.shape))
    return out


def _block(block: Block, x: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
    """(groups of the block, rows of each · …, b)."""
    rows, own = block.of_rows(x), matrices[block.groups]
    return torch.bmm(rows, own) if bias is None else torch.baddbmm(bias[block.groups][:, None], rows, own)


def _by_middle(tensor: Tensor) -> Tensor:
    """(rows, …, features) with one dimension between."""
    return tensor if tensor.dim() == 3 else tensor.reshape(tensor.shape[0], -1, tensor.shape[-1])
