"""Dissensus: pushes a neighbor away from all that it would move toward, by as much as it would.

    x_t − ε · Σ_{honest j} W_tj (x_j − x_t) / Σ_{attackers b} W_tb          to neighbor t

With ε = 1 gossip at t stands still; above it moves apart. Every neighbor gets another one.
Source: He, Karimireddy & Jaggi (2022), arXiv 2202.01545.
"""

from dataclasses import dataclass
from typing import Generic

from gossipfl.core.attacks.seam import Scene
from gossipfl.core.mixing.weighted import toward
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class Dissensus(Generic[P]):
    """See the module.

    Attributes:
        strength: ε.
    """

    strength: float = 1.5

    def send(self, scene: Scene[P]) -> P:
        """See `Attack`; to another attacker the truth."""
        target, weights = scene.honest.get(scene.receiver), scene.weights
        if target is None:
            return scene.own
        power = sum(weight for name, weight in weights.items() if name in scene.attackers)
        if not power:
            return target
        away = [
            (-self.strength * weight / power, scene.honest[name])
            for name, weight in sorted(weights.items())
            if name in scene.honest and name != scene.receiver
        ]
        return toward(target, away)
