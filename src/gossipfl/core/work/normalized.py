"""normalized: every phase counts as one of the common number of steps, however many it took.

    Δ_i = x_i after − x_i before                       node i's increment of a phase of τ_i steps
    x_i ← x_i + f_i · Δ_i,   f_i = a(τ) / a(τ_i)       τ the common number of steps

    a(τ) = τ                                           sgd, adam, adamw, and momentum that is kept between phases
    a(τ) = (τ − ρ·(1 − ρ^τ)/(1 − ρ)) / (1 − ρ)         sgd with momentum ρ that each phase begins without

a(τ) is the length ‖a_i‖₁ of FedNova, the weight that the gradients of a phase have in its increment together: Δ_i/a_i
is their mean, and all nodes' means are given the same length a(τ). FedNova's server does x ← x + a(τ)·Σ_i p_i Δ_i/a_i.
Gossip has the same sum: mixing stays doubly stochastic and untouched, each node scales what it adds to the network's
sum. Nobody has to know the others' steps, only τ has to be agreed on, which changes the rate of all alike. So the
network goes to the minimum of Σ_i F_i; without it to that of Σ_i a(τ_i) F_i, for steps that are short.

It does not correct for drift within a phase, which FedNova does not either, nor for nodes that do fewer phases.

Source: Wang, Liu, Liang, Joshi & Poor (2020), Tackling the objective inconsistency problem in heterogeneous federated
optimization, arXiv 2007.07481, equations 6, 8 and 9; momentum: section 4.
"""

from gossipfl.core.work.seam import Phase


def factor(phase: Phase) -> float:
    """a(common) / a(steps); exactly 1 where they are equal."""
    if phase.steps == phase.common:
        return 1.0
    return weight(phase.common, phase.momentum) / weight(phase.steps, phase.momentum)


def weight(steps: int, momentum: float) -> float:
    """a(τ): what the gradients of a phase count together."""
    if not momentum:
        return float(steps)
    return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
