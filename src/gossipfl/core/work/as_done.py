"""as_done: a phase counts as it is. A node that does more steps has more say in where all go.

The stationary point of gossip is then about that of Σ_i τ_i F_i instead of Σ_i F_i, τ_i being node i's steps a phase.
"""

from gossipfl.core.work.seam import Phase


def factor(phase: Phase) -> float:  # noqa: ARG001  # all are alike
    """Always 1."""
    return 1.0
