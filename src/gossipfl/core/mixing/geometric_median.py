"""Geometric median: the point whose weighted distances to all states add up to least.

    z ← Σ_j (w_j / ‖z − x_j‖) x_j / Σ_j (w_j / ‖z − x_j‖)         Weiszfeld's step, the own state among the x_j
    at a state z = x_k the step is of the others only, and shorter by w_k, or none at all

It begins at the own state, and stays within reach of the honest ones while they have more than half of the weight.
Source: Weiszfeld (1937); Vardi & Zhang (2000) for the step at a state; Pillutla et al. (2022), arXiv 1912.13445.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

from gossipfl.core.mixing.among import distance, moved_to, shared
from gossipfl.core.mixing.weighted import toward, weighted_sum
from gossipfl.core.vector import P

PASSES = 64
"""At most; each goes over all states twice."""
ENOUGH = 1e-3
"""Part of the harmonic mean of the distances by which the last pass moved: then the point is good enough. That mean is
decided by who is near, not by who is far."""


class GeometricMedian(Generic[P]):
    """See the module."""

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:
        """The geometric median of own and others' states, by their weights."""
        names = sorted(contributions)
        weights = [own_weight, *(contributions[name][0] for name in names)]
        states = [shared(own), *(contributions[name][1] for name in names)]
        return moved_to(own, _median(states, weights))


def _median(states: Sequence[P], weights: Sequence[float]) -> P:
    point = states[0]
    for _ in range(PASSES):
        far = [distance(point, state) for state in states]
        pulls = [weight / length if length else 0.0 for weight, length in zip(weights, far, strict=True)]
        here = sum(weight for weight, length in zip(weights, far, strict=True) if not length)
        total = sum(pulls)
        if not total:
            return point
        wished = weighted_sum([(pull / total, state) for pull, state in zip(pulls, states, strict=True) if pull])
        way = distance(point, wished)
        part = max(0.0, 1 - here / (total * way)) if way else 0.0
        point = toward(point, [(part, wished)])
        if part * way * total <= ENOUGH * sum(weights):
            return point
    return point
