"""Clipping of unit gradients: the one place where it is done.

    factor_u = min(1, C / (‖g_u‖ + 1e-6))        ‖g_u‖ over all parameters together

The same arithmetic as Opacus' `DPOptimizer`, for any number of groups of units at once.

Source: Abadi et al. (2016).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_TINY = 1e-6
"""Opacus' guard against a norm of 0."""


def add_clipped(gradients: Sequence[Tensor], clips: Tensor, sizes: Sequence[int], into: Tensor) -> None:
    """Adds the clipped sum of every group's unit gradients to its row.

    Args:
        gradients: (units, …) fp32 for each parameter; values that are not finite are set to 0 in place.
        clips: (units,) clipping norm of each unit; infinity does not clip.
        sizes: units of each group, which lie behind one another.
        into: (groups, size) fp32.
    """
    flat = [gradient.reshape(len(clips), -1) for gradient in gradients]
    factors = (clips / (_norms(flat) + _TINY)).clamp_(max=1.0)
    shares = [(group, share) for group, share in enumerate(torch.split(factors, list(sizes))) if len(share)]
    start = 0
    for gradient in flat:
        columns = into[:, start : start + gradient.shape[1]]
        for (group, share), part in zip(shares, _parts(gradient, sizes), strict=True):
            columns[group].addmv_(part.T, share)
        start += gradient.shape[1]


def _norms(flat: Sequence[Tensor]) -> Tensor:
    """(units,) norm over all parameters."""
    norms = _norms_as_they_are(flat)
    if not bool(torch.isfinite(norms).all()):
        # zeros of a parameter that took no part may be one value in many places, which cannot be written to
        for gradient in (gradient for gradient in flat if not bool(torch.isfinite(gradient).all())):
            torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        norms = _norms_as_they_are(flat)
    return norms


def _norms_as_they_are(flat: Sequence[Tensor]) -> Tensor:
    norms = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in flat])
    norm: Tensor = torch.linalg.vector_norm(norms, dim=0)
    return norm


def _parts(gradient: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    return [part for part in torch.split(gradient, list(sizes)) if len(part)]
