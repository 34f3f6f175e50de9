"""What training steps cost in ε, and how much noise keeps it below a target.

    charges ─> composition (equal kinds merged) ─> bound: the smallest of the bounds that hold ─> ε

    rdp   Rényi
    prv   exact Gaussian formula where every step takes every unit, else convolved privacy losses, else (losses too
          large for floats, too many kinds of steps) Rényi; `Bound.method` says which
    pld   the same by another library, tighter by a thousandth or two (extra `pld`)

All bounds are upper bounds for add/remove adjacency of one unit, and assume that batch and noise stay secret.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gossipfl.core.tables import resolve
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.gaussian import gaussian_epsilon
from gossipfl.privacy.pairs.exposure import Exposure
from gossipfl.privacy.pld import pld_epsilon
from gossipfl.privacy.prv import prv_epsilon
from gossipfl.privacy.rdp import Composition, rdp_epsilon

MAX_NOISE_MULTIPLIER = 1e5
"""Noise beyond this is no training any more."""
SPENT = 0.99
"""Part of a target from which it counts as spent; a calibrated run ends between here and the target."""
TOLERANCE = 0.002
"""`noise_multiplier_for` stops when ε is within this fraction below the target."""

Method = Literal["exact", "prv", "rdp", "pld"]


@dataclass(frozen=True, slots=True)
class Charge:
    """Equal steps of the Poisson-subsampled Gaussian mechanism.

    Attributes:
        sample_rate: probability that a unit is drawn, in (0, 1].
        noise_multiplier: σ, noise deviation over the clipping norm; 0 is no privacy.
        steps: how many such steps.
        exposure: at level correlated, what weaker adversaries face; `noise_multiplier` is against the strongest.
    """

    sample_rate: float
    noise_multiplier: float
    steps: int = 1
    exposure: Exposure | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sample_rate <= 1:
            raise PrivacyError(f"sample_rate {self.sample_rate} is not in (0, 1]")
        if not 0 <= self.noise_multiplier < math.inf:
            raise PrivacyError(f"noise_multiplier {self.noise_multiplier} is not a finite number from 0 on")
        if self.steps < 0:
            raise PrivacyError(f"steps {self.steps} is negative")


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound of ε, and how it was found: an answer by another method than wished is never passed off."""

    epsilon: float
    method: Method


def bound(charges: Iterable[Charge], delta: float, accountant: str = "prv") -> Bound:
    """The ε that all `charges` together spend at most.

    Guarantees:
        0 for no step; infinity when a step has no noise; does not depend on the order of the charges.

    Raises:
        PrivacyError: delta is not in (0, 1).
        ConfigError: no such accountant.
    """
    if not 0 < delta < 1:
        raise PrivacyError(f"delta {delta} is not in (0, 1)")
    account = resolve(ACCOUNTANTS, accountant, field="privacy.accountant")
    composition = compose(charges)
    if not composition:
        return Bound(0.0, "exact")
    if any(sigma == 0 for _, sigma, _ in composition):
        return Bound(math.inf, "exact")
    return account(composition, delta)


def epsilon(charges: Iterable[Charge], delta: float, accountant: str = "prv") -> float:
    """`bound(…).epsilon`."""
    return bound(charges, delta, accountant).epsilon


def compose(charges: Iterable[Charge]) -> Composition:
    """Steps by kind, sorted, without the kinds that have none."""
    steps: dict[tuple[float, float], int] = {}
    for charge in charges:
        kind = (float(charge.sample_rate), float(charge.noise_multiplier))
        steps[kind] = steps.get(kind, 0) + charge.steps
    return tuple(sorted((rate, sigma, count) for (rate, sigma), count in steps.items() if count))


def merge(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """The same steps as few charges."""
    return tuple(Charge(rate, sigma, count) for rate, sigma, count in compose(charges))


@lru_cache(maxsize=4096)
def _rdp_bound(composition: Composition, delta: float) -> Bound:
    return Bound(rdp_epsilon(composition, delta), "rdp")


@lru_cache(maxsize=4096)
def _prv_bound(composition: Composition, delta: float) -> Bound:
    return _tight(composition, delta, "prv", prv_epsilon)


@lru_cache(maxsize=4096)
def _pld_bound(composition: Composition, delta: float) -> Bound:
    return _tight(composition, delta, "pld", pld_epsilon)


def _tight(
    composition: Composition, delta: float, method: Method, convolve: Callable[[Composition, float], float | None]
) -> Bound:
    full = [(sigma, steps) for rate, sigma, steps in composition if rate == 1]
    mu = math.sqrt(sum(steps / sigma**2 for sigma, steps in full))
    rest = tuple(kind for kind in composition if kind[0] < 1)
    if not rest:
        return Bound(gaussian_epsilon(mu, delta), "exact")
    # steps on every unit compose to a single Gaussian, exactly
    convolved = convolve((*rest, (1.0, 1 / mu, 1)) if full else rest, delta)
    above = _rdp_bound(composition, delta)
    return above if convolved is None or above.epsilon < convolved else Bound(convolved, method)


ACCOUNTANTS: Mapping[str, Callable[[Composition, float], Bound]] = {
    "prv": _prv_bound,
    "rdp": _rdp_bound,
    "pld": _pld_bound,
}


def noise_multiplier_for(
    target_epsilon: float,
    *,
    delta: float,
    sample_rate: float,
    steps: int,
    accountant: str = "prv",
    spent: Sequence[Charge] = (),
) -> float:
    """The least noise with which `steps` steps, on top of what is `spent`, stay within the target.

    Guarantees:
        ε with it is at most the target, and at least 99% of it unless the target cannot be met that closely.

    Raises:
        BudgetSpentError: less than 1% of the target is left: it would take noise that drowns everything.
        PrivacyError: no noise does it, the target is too small.
    """
    already = bound(spent, delta, accountant).epsilon
    if already >= SPENT * target_epsilon:
        raise BudgetSpentError(
            f"target_epsilon {target_epsilon:g} cannot be kept: {already:.4g} is already spent on this data "
            f"(delta {delta:g})"
        )

    def cost(sigma: float, by: str = accountant) -> float:
        return bound((*spent, Charge(sample_rate, sigma, steps)), delta, by).epsilon

    # Rényi is quick and never below: it brackets the search
    start = _enough(lambda sigma: cost(sigma, "rdp"), target_epsilon, 1.0)
    start = _enough(cost, target_epsilon, start or MAX_NOISE_MULTIPLIER)
    if start is None:
        raise PrivacyError(
            f"target_epsilon {target_epsilon:g} is too small: no noise_multiplier up to {MAX_NOISE_MULTIPLIER:g} "
            f"keeps it for {steps} steps at sample_rate {sample_rate:g}, delta {delta:g}"
            + (f" with {already:.4g} already spent" if already else "")
        )
    return _least(cost, target_epsilon, start)


def _enough(cost: Callable[[float], float], target: float, sigma: float) -> float | None:
    """Some σ, `sigma` or a power of two above it, with cost(σ) ≤ target."""
    while cost(sigma) > target:
        sigma *= 2
        if sigma > 2 * MAX_NOISE_MULTIPLIER:
            return None
    return sigma


def _least(cost: Callable[[float], float], target: float, enough: float) -> float:
    """About the smallest σ with cost(σ) ≤ target: false position on log cost over log σ, which is nearly straight."""
    above = cost(enough)
    little, below = enough / 1.25, cost(enough / 1.25)
    while below <= target and little > 1e-3:
        enough, above = little, below
        little, below = little / 1.25, cost(little / 1.25)
    while above < target * (1 - TOLERANCE) and enough / little > 1 + 1e-5:
        middle = _aim(little, below, enough, above, target * (1 - TOLERANCE / 2))
        value = cost(middle)
        if value <= target:
            enough, above = middle, value
        else:
            little, below = middle, value
    return enough


def _aim(little: float, below: float, enough: float, above: float, target: float) -> float:
    """Where the straight line between the two ends meets `target`, kept off the ends so that both move."""
    if not (0 < above < target < below < math.inf):
        return math.sqrt(little * enough)
    part = math.log(below / target) / math.log(below / above)
    return little * math.pow(enough / little, min(max(part, 0.02), 0.98))
