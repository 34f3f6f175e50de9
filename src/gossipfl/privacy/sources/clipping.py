"""Clipping of unit gradients: the one place where it is done.

    flat        factor_u   = min(1, C / (‖g_u‖ + 1e-6))              ‖g_u‖ over all parameters that do not rest
    per layer   factor_u,p = min(1, C/√k / (‖g_u,p‖ + 1e-6))         k parameters that do not rest

The same arithmetic as Opacus' `DPOptimizer`, for any number of groups of units at once.

Source: Abadi et al. (2016).
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from gossipfl.privacy.sources.clip import Clip, note_short
from gossipfl.privacy.sources.seam import Places

_TINY = 1e-6
"""Opacus' guard against a norm of 0."""


def add_clipped(
    gradients: Sequence[Tensor],
    clips: Sequence[Clip | None],
    sizes: Sequence[int],
    into: Tensor,
    resting: Sequence[Places] = (),
) -> list[int]:
    """Adds the clipped sum of every group's unit gradients to its row; how many of its units were short enough.

    Args:
        gradients: (units, …) fp32 for each parameter; values that are not finite are set to 0 in place.
        clips: of each group; None does not clip.
        sizes: units of each group, which lie behind one another.
        into: (groups, size) fp32.
        resting: parameters of each group that are not trained now; empty: none of any.
    """
    taking = _taking(len(gradients), sizes, resting).to(into.device) if any(resting) else None
    norms = _norms(gradients, taking)
    whole: Tensor = torch.linalg.vector_norm(norms, dim=0)
    limits = _by_unit([torch.inf if clip is None else clip.norm for clip in clips], sizes, into.device)
    factors = [(limits / (whole + _TINY)).clamp_(max=1.0)] * len(gradients)
    if any(clip is not None and clip.per_layer for clip in clips):
        shares = _shares(clips, sizes, taking, len(gradients)).to(into.device)
        factors = _layered(norms, limits, shares, factors[0])
    bounds = [0, *accumulate(sizes)]
    start = 0
    for place, gradient in enumerate(gradients):
        size = gradient.numel() // len(whole)
        for group, (first, end) in enumerate(pairwise(bounds)):
            if end > first and not (resting and place in resting[group]):
                _add_weighted(gradient[first:end], factors[place][first:end], into[group, start : start + size])
        start += size
    return _short(clips, whole, limits, bounds)


def add_one_batch(gradients: Sequence[Tensor], clip: Clip | None, into: Tensor, resting: Places) -> None:
    """Adds the clipped sum of one micro-batch to a flat vector, and notes how many units were short enough."""
    (short,) = add_clipped(gradients, [clip], [len(gradients[0])], into[None], [resting])
    note_short(clip, short)


def _layered(norms: Tensor, limits: Tensor, shares: Tensor, flat: Tensor) -> list[Tensor]:
    """For each parameter (units,): by itself where it has a share, else as all together."""
    layered = (limits * shares / (norms + _TINY)).clamp_(max=1.0)
    return list(layered.where(shares > 0, flat).unbind())


def _shares(clips: Sequence[Clip | None], sizes: Sequence[int], taking: Tensor | None, parameters: int) -> Tensor:
    """(units,) share of the norm that each parameter gets by itself; 0 where all are clipped together."""
    layered = _by_unit([float(clip is not None and clip.per_layer) for clip in clips], sizes, None)
    counts = torch.tensor(float(parameters)) if taking is None else taking.sum(0).to("cpu", torch.float32)
    return layered / counts.clamp(min=1).sqrt()


def _short(clips: Sequence[Clip | None], whole: Tensor, limits: Tensor, bounds: Sequence[int]) -> list[int]:
    if not any(clip is not None and clip.short is not None for clip in clips):
        # nobody asks: no device has to be waited for
        return [0] * len(clips)
    short = whole <= limits
    return [int(short[first:end].sum()) for first, end in pairwise(bounds)]


def _by_unit(values: Sequence[float], sizes: Sequence[int], device: torch.device | None) -> Tensor:
    if len(values) == 1:
        return torch.full((sizes[0],), values[0], device=device)
    return torch.tensor(values, device=device).repeat_interleave(torch.tensor(sizes, device=device))


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
    """(parameters, units) norms; 0 of those that rest."""
    norms = _norms_as_they_are(gradients, taking)
    if not bool(torch.isfinite(norms).all()):
        # zeros of a parameter that took no part may be one value in many places, which cannot be written to
        for gradient in (gradient for gradient in gradients if not bool(torch.isfinite(gradient).all())):
            torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        norms = _norms_as_they_are(gradients, taking)
    return norms


def _norms_as_they_are(gradients: Sequence[Tensor], taking: Tensor | None) -> Tensor:
    norms = torch.stack([torch.linalg.vector_norm(_flat(gradient), dim=1) for gradient in gradients])
    return norms if taking is None else norms.where(taking, 0.0)


def _flat(gradient: Tensor) -> Tensor:
    """(units, …) with the values of each unit in the order in which they lie in memory."""
    if gradient.dim() == 3 and gradient.mT.is_contiguous():
        return gradient.mT.flatten(1)
    return gradient.flatten(1)
