"""The outer step: what a phase and its mixing have led to is a pseudo-gradient, taken with momentum.

    m ← μ·m + η·(θ̄ − φ)      φ ← φ + m      θ ← φ          θ̄: mixed states, φ: where the phase began

NoLoCo writes η·mean(θ − φ) + η·(mean(φ) − φ), over the two of a pair and with one η: that is η·(mean(θ) − φ), so that
only θ travels. η = 1 and μ = 0 is mixing alone.
Source: NoLoCo, Kolehmainen et al. (2506.10911).
"""

from dataclasses import dataclass

from gossipfl.core.mixing.weighted import toward, weighted_sum
from gossipfl.core.outer import Outer
from gossipfl.core.vector import P


@dataclass(frozen=True, slots=True)
class OuterStep:
    """How outer steps are taken.

    Attributes:
        learning_rate: η.
        momentum: μ.
    """

    learning_rate: float
    momentum: float

    def __call__(self, before: Outer[P], mixed: P) -> Outer[P]:
        """The next φ and m.

        Guarantees:
            With η = 1 and μ = 0 φ is `mixed` itself; where `mixed` is φ and m is nothing, φ stays exactly.
        """
        slow = mixed if self.learning_rate == 1.0 else toward(before.slow, [(self.learning_rate, mixed)])
        if not self.momentum:
            return Outer(slow)
        if before.momentum is not None:
            slow = weighted_sum([(1.0, slow), (self.momentum, before.momentum)])
        return Outer(slow, slow - before.slow)
