"""The Gaussian mechanism composed exactly, for steps that take every unit (sample rate 1).

    μ = √(Σ steps / σ²)        δ(ε) = Φ(−ε/μ + μ/2) − e^ε · Φ(−ε/μ − μ/2)

Source: Balle & Wang (2018), theorem 8; Dong, Roth & Su (2022), corollary 2.13 and composition of GDP.
"""

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr


def gaussian_delta(epsilon: float, mu: float) -> float:
    """δ at which the composition is (ε, δ)-private; exact. `mu` is the total sensitivity over the noise."""
    if mu == 0:
        return 0.0
    first = float(log_ndtr(-epsilon / mu + mu / 2))
    second = epsilon + float(log_ndtr(-epsilon / mu - mu / 2))
    # e^a − e^b for b ≤ a, without losing the difference of two nearly equal numbers
    return -math.exp(first) * math.expm1(min(second - first, 0.0))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Smallest ε at which the composition is (ε, δ)-private; exact to rounding.

    Args:
        mu: √(Σ steps / σ²), 0 for no step at all, infinity without noise.
        delta: in (0, 1).
    """
    if mu == math.inf:
        return math.inf
    if gaussian_delta(0.0, mu) <= delta:
        return 0.0
    above = mu * mu / 2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1e-9
    # next to no noise: above is a bound, and δ there is lost in rounding
    if above == math.inf or gaussian_delta(above, mu) > delta:
        return above
    return float(brentq(lambda epsilon: gaussian_delta(epsilon, mu) - delta, 0.0, above, xtol=1e-13, rtol=1e-13))
