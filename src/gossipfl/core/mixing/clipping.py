"""Self-centered clipping: what each neighbor asks for, no longer than a radius.

    x_i ← x_i + Σ_j W_ij · clip_τ(x_j − x_i)        clip_τ(d) = d · min(1, τ/‖d‖)

τ is given, or follows the neighbors: the (b+1)-th largest of their distances, b being `gossip.byzantine`, so that as
many as b who are far off reach no farther than somebody who is not of them. τ = ∞ is gossip, τ = 0 is training alone.

Source: He, Karimireddy & Jaggi (2022), arXiv 2202.01545.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from gossipfl.core.mixing.among import distance, shared
from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class SelfCenteredClipping(Generic[P]):
    """See the module.

    Attributes:
        radius: τ; None follows the neighbors.
        byzantine: b.

    Guarantees:
        One neighbor moves the node by at most W_ij·τ. Where τ follows, and no more than b neighbors are there, nobody
        moves it.
    """

    radius: float | None
    byzantine: int

    def mix(self, own: P, own_weight: float, contributions: Mapping[str, tuple[float, P]]) -> P:  # noqa: ARG002
        """Own state, moved toward the others', each by its weight times at most τ."""
        seen = shared(own)
        terms = list(contributions.values())
        far = [distance(seen, state) for _, state in terms]
        radius = self._radius(far)
        clipped = [
            (weight * min(1.0, radius / length) if length else weight, state)
            for (weight, state), length in zip(terms, far, strict=True)
        ]
        return toward(own, [(weight, state) for weight, state in clipped if weight])

    def _radius(self, far: Sequence[float]) -> float:
        if self.radius is not None:
            return self.radius
        return sorted(far, reverse=True)[self.byzantine] if len(far) > self.byzantine else 0.0
