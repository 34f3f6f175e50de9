"""The norm that gradients are clipped to: fixed, or following a quantile of the gradients' own norms.

    b̃ = ½ + ( Σ_{u in batch} (1[‖g_u‖ ≤ C] − ½)  +  σ_b·N(0, 1) ) / (q·n)        share of the units no longer than C
    C ← C · exp(−η (b̃ − γ))

What C follows is private, so it is noised too. A unit more or less moves the vector (Σ g_u, Σ (1[…] − ½)) by C in its
first part and by ½ in its second: with noises z_Δ·C and σ_b that is one Gaussian release whose noise multiplier is
exactly z where

    z⁻² = z_Δ⁻² + (2σ_b)⁻²

So the account is charged for z as ever, and the gradient gets z_Δ > z: the share of ε that adapting takes.

Source: Andrew, Thakkar, McMahan & Ramaswamy (2021), theorem 1 and algorithm 1.
"""

import math
from dataclasses import dataclass

import numpy as np

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.errors import PrivacyError
from gossipfl.privacy.sources.clip import Clip, ShortUnits

BATCHES = 20
"""The share is known to about 1/20 by default, as the source advises."""


@dataclass(frozen=True, slots=True)
class Adapting:
    """How the clipping norm follows the gradients.

    Attributes:
        quantile: γ, share of the units whose gradient is to be no longer than C.
        learning_rate: η.
        count_noise: σ_b, deviation of the noise on the number of those units.
    """

    quantile: float
    learning_rate: float
    count_noise: float


@dataclass(frozen=True, slots=True)
class Clipping:
    """How gradients are clipped in a run.

    Attributes:
        norm: C, where it follows nothing; else where it begins.
        gradient_noise: z_Δ, noise deviation on the sum of gradients over C.
        per_layer: see `Clip`.
        adapting: None: C stays.
    """

    norm: float
    gradient_noise: float
    per_layer: bool = False
    adapting: Adapting | None = None


def clipping_of(config: PrivacyConfig, *, noise_multiplier: float, expected_batch: float) -> Clipping:
    """The clipping of a run whose steps are charged with `noise_multiplier`.

    Raises:
        PrivacyError: the number of short gradients would have so little noise that it alone costs more than that.
    """
    per_layer = config.clipping == "per_layer"
    if config.clipping_quantile is None:
        return Clipping(config.max_grad_norm, noise_multiplier, per_layer)
    count_noise = config.clipping_count_noise or max(expected_batch / BATCHES, noise_multiplier)
    adapting = Adapting(config.clipping_quantile, config.clipping_learning_rate, count_noise)
    return Clipping(config.max_grad_norm, gradient_noise(noise_multiplier, count_noise), per_layer, adapting)


def gradient_noise(noise_multiplier: float, count_noise: float) -> float:
    """z_Δ with which gradients and count together are one release of noise multiplier z; infinite noise has no share.

    Raises:
        PrivacyError: there is none.
    """
    if not 2 * count_noise > noise_multiplier:
        raise PrivacyError(
            f"privacy.clipping_count_noise {count_noise:g}: more than half of the noise multiplier "
            f"{noise_multiplier:.4g} was expected, for the count alone must not cost more than the whole step"
        )
    return noise_multiplier / math.sqrt(1 - (noise_multiplier / (2 * count_noise)) ** 2)


class ClippingNorm:
    """C of one node, from step to step. What it is follows from noised numbers, so that it may be kept."""

    def __init__(self, clipping: Clipping) -> None:
        self._clipping = clipping
        self._norm = np.float32(clipping.norm)

    def clip(self) -> Clip:
        """For the next batch."""
        asks = self._clipping.adapting is not None
        # a norm that follows nothing is the configured one, to the last bit
        norm = float(self._norm) if asks else self._clipping.norm
        return Clip(norm, self._clipping.per_layer, ShortUnits() if asks else None)

    def follow(self, short: int, units: int, *, expected_batch: float, normal: float) -> None:
        """Moves C by what a batch has shown.

        Args:
            short, units: of a batch: private, and noised here.
            expected_batch: q·n.
            normal: a standard normal.
        """
        adapting = self._clipping.adapting
        if adapting is None:
            return
        share = 0.5 + (short - units / 2 + adapting.count_noise * normal) / expected_batch
        # noise may lead out of where a share can be
        moved = adapting.learning_rate * (min(max(share, 0.0), 1.0) - adapting.quantile)
        self._norm = np.float32(self._norm * math.exp(-moved))

    @property
    def value(self) -> np.float32:
        """C of the next step."""
        return self._norm

    def restore(self, value: np.float32) -> None:
        """Takes over what `value` gave.

        Raises:
            PrivacyError: it is no norm.
        """
        if not 0 < value < math.inf:
            raise PrivacyError(f"a saved clipping norm of {value:g}: a positive number was expected")
        self._norm = value
