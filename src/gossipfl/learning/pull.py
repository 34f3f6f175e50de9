"""The pull of a phase to where it began: what FedProx adds to the gradients."""

from collections.abc import Callable

from gossipfl.learning.adapters import Adapted


def pull_to_here(adapted: Adapted, mu: float) -> Callable[[], None]:
    """Adds μ · (x − x₀) to the gradients, x₀ being the values of now: FedProx (Li et al. 2018)."""
    if not mu:
        return lambda: None
    parameters = list(adapted.trained.values())
    start = [parameter.detach().clone() for parameter in parameters]

    def pull() -> None:
        for parameter, before in zip(parameters, start, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - before, alpha=mu)

    return pull
