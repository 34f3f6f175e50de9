"""Clipping of unit gradients: the one place where it is done.

    factor_u = min(1, C / (‖g_u‖ + 1e-6))        ‖g_u‖ over all parameters together that do not rest

The same arithmetic as Opacus' `DPOptimizer`, for any number of groups of units at once.

Source: Abadi et al. (2016).
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from gossipfl.privacy.sources.seam import Places

_TINY = 1e-6
"""Opacus' guard against a norm of 0."""


def add_clipped(
    gradients: Sequence[Tensor], clips: Tensor, sizes: Sequence[int], into: Tensor, resting: Sequence[Places] = ()
) -> None:
    """Adds the clipped sum of every group's unit gradients to its row.

    Args:
        gradients: (units, …) fp32 for each parameter; values that are not finite are set to 0 in place.
        clips: (units,) clipping norm of each unit; infinity does not clip.
        sizes: units of each group, which lie behind one another.
        into: (groups, size) fp32.
        resting: parameters of each group that are not trained now; empty: none of any.
    """
    taking = _taking(len(gradients), sizes, resting).to(clips.device) if any(resting) else None
    factors = (clips / (_norms(gradients, taking) + _TINY)).clamp_(max=1.0)
    bounds = [0, *accumulate(sizes)]
    start = 0
    for place, gradient in enumerate(gradients):
        size = gradient.numel() // len(clips)
        for group, (first, end) in enumerate(pairwise(bounds)):
            if end > first and not (resting and place in resting[group]):
                _add_weighted(gradient[first:end], factors[first:end], into[group, start : start + size])
        start += size


def _taking(parameters: int, sizes: Sequence[int], resting: Sequence[Places]) -> Tensor:
    """(parameters, units) bool: those that do not rest."""
    groups = torch.ones(parameters, len(sizes), dtype=torch.bool)
    for group, places in enumerate(resting):
        groups[list(places), group] = False
    return groups.repeat_interleave(torch.tensor(sizes), dim=1)


def _add_weighted(gradients: Tensor, weights: Tensor, into: Tensor) -> None:
    """Adds Σ_u weight_u · g_u, of (units, …), to (…) as a flat vector."""
    if gradients.dim() == 3 and gradients.mT.is_contiguous():
        # kept the other way round: only the sum is turned
        rows, columns = gradients.shape[1:]
        into.view(rows, columns).add_((weights @ gradients.mT.flatten(1)).view(columns, rows).T)
    else:
        into.addmv_(gradients.flatten(1).T, weights)


def _norms(gradients: Sequence[Tensor], taking: Tensor | None) -> Tensor:
    """(units,) norm over all parameters that take part."""
    norms = _norms_as_they_are(gradients, taking)
    if not bool(torch.isfinite(norms).all()):
        # zeros of a parameter that took no part may be one value in many places, which cannot be written to
        for gradient in (gradient for gradient in gradients if not bool(torch.isfinite(gradient).all())):
            torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        norms = _norms_as_they_are(gradients, taking)
    return norms


def _norms_as_they_are(gradients: Sequence[Tensor], taking: Tensor | None) -> Tensor:
    norms = torch.stack([torch.linalg.vector_norm(_flat(gradient), dim=1) for gradient in gradients])
    if taking is not None:
        norms = norms.where(taking, 0.0)
    norm: Tensor = torch.linalg.vector_norm(norms, dim=0)
    return norm


def _flat(gradient: Tensor) -> Tensor:
    """(units, …) with the values of each unit in the order in which they lie in memory."""
    if gradient.dim() == 3 and gradient.mT.is_contiguous():
        return gradient.mT.flatten(1)
    return gradient.flatten(1)
