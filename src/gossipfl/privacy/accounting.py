"""What training steps cost in ε."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Charge:
    """Equal steps of the Poisson-subsampled Gaussian mechanism.

    Attributes:
        sample_rate: probability that a unit is drawn, in (0, 1].
        noise_multiplier: σ, noise deviation over the clipping norm; 0 is no privacy.
        steps: how many such steps.
    """

    sample_rate: float
    noise_multiplier: float
    steps: int = 1
