"""What a few runs of each arm say: mean, deviation, and paired differences with their intervals.

    std        √(Σ (x − x̄)² / (n − 1))
    interval   d̄ ± t(0.975, n − 1) · s_d / √n      over the seeds that both arms have

Source: Student (1908), the paired test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """What some runs say of a figure.

    Attributes:
        mean: over them; None without any.
        std: sample standard deviation; None of fewer than two.
        count: of runs in which it is known.
    """

    mean: float | None
    std: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much an arm is above another, seed by seed.

    Attributes:
        mean: None without a common seed.
        low, high: ends of the 95% interval; None of fewer than two pairs.
        pairs: common seeds.
    """

    mean: float | None
    low: float | None
    high: float | None
    pairs: int

    @property
    def excludes_zero(self) -> bool:
        """The interval is on one side."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def estimate(values: Sequence[float]) -> Estimate:
    """Of what is known; NaN is not."""
    known = [value for value in values if not math.isnan(value)]
    std = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Estimate(float(np.mean(known)) if known else None, std, len(known))


def paired_difference(values: Mapping[int, float], others: Mapping[int, float]) -> Difference:
    """Of figures by seed; a seed at which one of the two is unknown is left out."""
    seeds = [seed for seed in values if seed in others]
    differences = [values[seed] - others[seed] for seed in seeds]
    found = estimate(differences)
    if found.mean is None or found.std is None:
        return Difference(found.mean, None, None, found.count)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, found.count - 1))
    half = quantile * found.std / math.sqrt(found.count)
    return Difference(found.mean, found.mean - half, found.mean + half, found.count)
