"""Mixing of products without loss: what factors cannot hold is folded into the frozen weight, and exchanged like them.

    update of a layer   U_j = M_j + s·B_j A_j         M (out, in) lies in the state as NAME.lora_merged, not trained
    after mixing        M' + s·B'A' = Σ_j w_j U_j     for any weights, on any graph

    exact   B', A' the means of the factors             M' = Σ w_j M_j + Σ w_j s·B_j A_j − s·B'A'
    stack   B' = 0, A' as at the start                  M' = Σ w_j M_j + Σ w_j s·B_j A_j

Where all nodes hear all in every round, each could work out M by itself and would send factors only; but one round
that it missed would set it apart for good, and on a graph with fewer edges the M's drift apart at once (a ring of 8:
110% off after 200 rounds). So M is exchanged and averaged like everything else, and a message is as large as the
layers' weights.

Sources: FedEx-LoRA, Singhal et al. (2410.09432); FLoRA, Wang et al. (2409.05976).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gossipfl.core.factors import MERGED, summed
from gossipfl.core.mixing.products import Scale, sums_of
from gossipfl.state import AdapterState


@dataclass(frozen=True, slots=True)
class Folding:
    """Averages updates exactly; see `Mixing`.

    Attributes:
        scale: of products, by their rank.
        start: gives the factors after each mixing, for `stack`; None: their means, for `exact`.

    Guarantees:
        The new update of every layer is the weighted mean of the updates, up to the rounding of fp32.
    """

    scale: Scale
    start: AdapterState | None

    def mix(
        self, own: AdapterState, own_weight: float, contributions: Mapping[str, tuple[float, AdapterState]]
    ) -> AdapterState:
        """New own state; all weights, own among them, sum to 1."""
        others = list(contributions.values())
        mixed = own.toward(others).vector.copy()
        for pair, terms in sums_of(own, [(own_weight, own), *others], self.scale):
            if self.start is not None:
                for place in (pair.A_place, pair.B_place):
                    mixed[place] = self.start.vector[place]
            # with the new factors as fp32 has them: what they were rounded by is folded too
            held = self.scale(pair.rank) * (pair.left(mixed) @ pair.right(mixed))
            mixed[own.spec.slices[pair.layer + MERGED]] += (summed(terms.lefts, terms.rights) - held).reshape(-1)
        return AdapterState(own.spec, mixed)
