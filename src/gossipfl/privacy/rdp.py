"""Rényi accounting of the Poisson-subsampled Gaussian mechanism: quick, never below the truth, about 10% above it.

    ε = min over orders α of  Σ steps · RDP_α(q, σ) − (ln δ + ln α)/(α − 1) + ln((α − 1)/α)

Source: Mironov, Talwar & Zhang (2019), computed by Opacus; conversion Balle et al. (2020), theorem 21.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gossipfl.privacy.opacus_parts import DEFAULT_ORDERS, compute_rdp

Composition = tuple[tuple[float, float, int], ...]
"""(sample rate, noise multiplier, steps) of each kind of step."""

# Opacus stops at 63: too small an order for the best ε below about 0.5
ORDERS: tuple[float, ...] = (*DEFAULT_ORDERS, 72.0, 80.0, 96.0, 128.0, 160.0, 192.0, 256.0, 384.0, 512.0, 1000.0)

MUCH_NOISE = 30.0
"""Beyond it the series for fractional orders takes up to a second, and whole orders are as good."""


def rdp_epsilon(composition: Composition, delta: float) -> float:
    """Upper bound of ε; infinity when no order gives one."""
    orders = np.asarray(ORDERS)
    total = np.zeros_like(orders)
    for sample_rate, noise_multiplier, steps in composition:
        total = total + steps * rdp_curve(sample_rate, noise_multiplier)
    converted = total - (math.log(delta) + np.log(orders)) / (orders - 1) + np.log1p(-1 / orders)
    return max(0.0, float(np.min(converted)))


@lru_cache(maxsize=1024)
def rdp_curve(sample_rate: float, noise_multiplier: float) -> NDArray[np.float64]:
    """RDP of one step at every order, read-only; infinity where it cannot be computed."""
    curve = np.array([_rdp(order, sample_rate, noise_multiplier) for order in ORDERS])
    curve.setflags(write=False)
    return curve


def _rdp(order: float, sample_rate: float, noise_multiplier: float) -> float:
    if noise_multiplier > MUCH_NOISE and not order.is_integer():
        return math.inf
    try:
        value = float(compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=order))
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.inf  # a series of extreme parameters left the floats: this order says nothing
    return value if value >= 0 else math.inf
