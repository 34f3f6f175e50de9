"""noloco: `sync`, with an outer step after the mixing that follows a phase.

    train H steps: φ ─> θ        exchange θ, mix: θ̄        m ← μ·m + η·(θ̄ − φ),  φ ← φ + m,  θ ← φ

H = training.local_steps, η = gossip.outer_learning_rate, μ = gossip.outer_momentum. Meant for pairs that are drawn anew
each round, `topology.schedule: random_matching`; any schedule goes with it. Who meets nobody in a round, or nobody who
came in time, steps by its own θ. Rounds without training (`settle_rounds`) only mix: momentum would go on without end.

Mixing that keeps the mean keeps that of θ; the mean of φ takes the same step that one node would: a heavy ball. `drift`
holds the outer steps' part too. Nodes do not agree while they train: what separates them is fed by the differences of
their data and by momentum, `tests/core/test_noloco.py` has it in closed form. With equal curvature and pairs drawn anew
on 16 nodes, a phase that goes a tenth of the way: μ = .5, η = .7 leaves 1.3 times the distance of plain pair averaging.

Source: NoLoCo, Kolehmainen et al. (2506.10911).
"""

from gossipfl.core.protocol import Parts, Protocol
from gossipfl.core.protocols.outer_step import OuterStep
from gossipfl.core.protocols.sync import Sync
from gossipfl.core.vector import P


def build(parts: Parts[P]) -> Protocol[P]:
    """The protocol for one node."""
    return Sync(parts, OuterStep(parts.gossip.outer_learning_rate, parts.gossip.outer_momentum))
