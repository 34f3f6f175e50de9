"""Accounting by privacy loss distributions: the tightest bound there is, within about 0.02% of the truth.

    losses of one step ─> on a grid, rounded up between its points ─> convolved with themselves ─> ε at δ

The parts are Google's `dp-accounting` (extra `pld`), a program of its own: where it agrees with `prv`, two independent
ones do. The grid follows ε and is the same for all step counts between two powers of two, as in `prv`.

Source: Koskela, Jälkö & Honkela (2020); connect-the-dots: Doroshenko, Ghazi, Kamath, Kumar & Manurangsi (2022).
"""

import math
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from gossipfl.errors import ConfigError
from gossipfl.privacy.rdp import Composition, rdp_epsilon

INSTALL = "pip install 'gossipfl[pld]'"
FINENESS = 1e-4
"""Grid over ε; what it costs in ε is a hundredth of that."""
_FINEST, _COARSEST = 2.0**-20, 2.0**-10


def has_pld() -> bool:
    """Whether the library is installed."""
    return find_spec("dp_accounting") is not None


def pld_epsilon(composition: Composition, delta: float) -> float | None:
    """Upper bound of ε, or None where the library gives none: losses beyond the floats.

    Args:
        composition: of at least one kind.
        delta: in (0, 1).

    Raises:
        ConfigError: the library is not installed.
    """
    interval = _interval(composition, delta)
    try:
        whole, *others = [
            _one_step(rate, sigma, interval).self_compose(steps) if steps > 1 else _one_step(rate, sigma, interval)
            for rate, sigma, steps in composition
        ]
        for other in others:
            whole = whole.compose(other)
        found = float(whole.get_epsilon_for_delta(delta))
    except (ValueError, OverflowError, MemoryError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None


def _interval(composition: Composition, delta: float) -> float:
    capped = tuple((rate, sigma, 1 << (steps - 1).bit_length()) for rate, sigma, steps in composition)
    wished = min(max(FINENESS * rdp_epsilon(capped, delta), _FINEST), _COARSEST)
    return 2.0 ** math.floor(math.log2(wished))


@lru_cache(maxsize=16)
def _one_step(sample_rate: float, noise_multiplier: float, interval: float) -> Any:  # noqa: ANN401  # has no types
    try:
        from dp_accounting.pld import privacy_loss_distribution  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ConfigError(f"privacy.accountant pld needs the extra `pld`: {INSTALL}") from error
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier,
        pessimistic_estimate=True,
        value_discretization_interval=interval,
        sampling_prob=sample_rate,
        use_connect_dots=True,
    )
