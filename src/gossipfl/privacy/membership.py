"""Membership inference: who of a pool of records was trained on, by loss or by likelihood ratio.

    loss               −loss of the record
    likelihood ratio   log N(φ; μ_in, s²_in) − log N(φ; μ_out, s²_out)        φ = log(p / (1 − p)), p = exp(−loss)

μ of each record over shadow runs with it and without it; s over all records, since a few runs do not tell each one's.

Source: Yeom et al. (2018), loss; Carlini et al. (2022), "Membership inference attacks from first principles", online
LiRA with global variance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
LOW_FALSE_RATE = 0.01
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Roc:
    """How true and false positives trade off.

    Attributes:
        false_rate, true_rate: (thresholds + 1,) rising from 0 to 1; of non-members, and of members, called members.
    """

    false_rate: Floats
    true_rate: Floats

    @property
    def auc(self) -> float:
        """Area under it: the chance that a member scores higher than a non-member; ½ is no attack."""
        return float(np.trapezoid(self.true_rate, self.false_rate))

    def true_rate_at(self, false_rate: float = LOW_FALSE_RATE) -> float:
        """Members found while at most this part of the non-members is called members."""
        return float(self.true_rate[self.false_rate <= false_rate].max())


def roc(scores: Floats, members: Flags) -> Roc:
    """The curve of a score.

    Args:
        scores: (records,) higher for members; equal ones are called together.
        members: (records,) the truth, of both kinds at least one.
    """
    thresholds = np.unique(scores)[::-1]
    called = np.array([scores >= threshold for threshold in thresholds])
    rates = [np.concatenate([[0.0], called[:, kind].mean(axis=1)]) for kind in (~members, members)]
    return Roc(*rates)


def logits(losses: Floats) -> Floats:
    """φ of losses −log p: nearly normal where losses are not."""
    clamped = np.maximum(losses, _LEAST)
    return -clamped - np.log(-np.expm1(-clamped))


def ratio_of_losses(target: Floats, shadows: Floats, in_shadow: Flags, *, classifies: bool) -> Floats:
    """The likelihood ratio by losses, see `likelihood_ratio`.

    Args:
        target, shadows: losses.
        classifies: they are −log p of one label; losses of texts are means over tokens, and nearly normal themselves.
    """
    of = logits if classifies else np.negative
    return likelihood_ratio(of(target), of(shadows), in_shadow)


def likelihood_ratio(target: Floats, shadows: Floats, in_shadow: Flags) -> Floats:
    """(records,) log likelihood ratio that each was trained on.

    Args:
        target: (records,) φ under the attacked model.
        shadows: (runs, records) φ under each shadow run's.
        in_shadow: (runs, records) who was trained on; every record in one run at least, and out of one.
    """
    densities = [_log_density(target, shadows, flags) for flags in (in_shadow, ~in_shadow)]
    return densities[0] - densities[1]


def _log_density(target: Floats, shadows: Floats, counted: Flags) -> Floats:
    """Of N(mean of each record's counted runs, variance over all counted), at the target."""
    runs = counted.sum(axis=0)
    mean = np.where(counted, shadows, 0.0).sum(axis=0) / runs
    squares = float(np.where(counted, (shadows - mean) ** 2, 0.0).sum())
    # each record's mean has used up one of its runs
    free = max(int(counted.sum()) - len(target), 1)
    # means are of few runs: what they err by adds to the variance
    variance = max(squares / free, _LEAST) * (1 + 1 / runs)
    density: Floats = -0.5 * (target - mean) ** 2 / variance - 0.5 * np.log(variance)
    return density
