"""From what was seen to scores: the higher, the more a canary looks as if it were in.

    0 hops, noised steps    likelihood   Σ_t log(1 − q + q · exp((2 s_t − 1) / 2σ²))     s_t in heights of a canary
                            variation    variance of s_t over the steps: noise that repeats itself hides nothing
            plain steps     sum          Σ_t s_t
                            largest      max_t s_t
    states                  last         what the probe reads off the last state
                            difference   Σ_t of what it reads off a state less what it reads off the observer's own
    mislabeled, shadow runs ratio        likelihood ratio of the last loss, see `privacy.membership`

An attack that does not suit a mistake costs little; one that does finds it. They are fixed before the run.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gossipfl.privacy.membership import ratio_of_losses
from gossipfl.studies.audit_run import AuditRun, Stage

Floats = NDArray[np.float64]


def attacks_on(stage: Stage, run: AuditRun, shadows: Sequence[AuditRun], place: int) -> Mapping[str, Floats]:
    """Scores by name of attack, (canaries,) each.

    Args:
        run: the audited one.
        shadows: with other lots; there may be none.
        place: of the observer among the sights.
    """
    sight = run.sights[place]
    if sight.observer.hops == 0 and run.steps.size:
        return _of_steps(run)
    if not len(sight.seen):
        # nothing has arrived
        return {"last": np.zeros(len(run.lots.included))}
    found = {"last": sight.seen[-1], "difference": (sight.seen - sight.own).sum(axis=0)}
    if stage.config.kind == "mislabeled" and shadows:
        # its probe reads −loss
        losses = np.array([-shadow.sights[place].seen[-1] for shadow in shadows])
        included = np.array([shadow.lots.included for shadow in shadows])
        found["ratio"] = ratio_of_losses(-sight.seen[-1], losses, included, classifies=stage.classifies)
    return found


def _of_steps(run: AuditRun) -> Mapping[str, Floats]:
    steps, plan = run.steps, run.plan
    if plan is None or plan.level != "example":
        return {"sum": steps.sum(axis=0), "largest": steps.max(axis=0)}
    # of the norm where it begins, should it follow the gradients
    scaled = steps * plan.expected_batch / (plan.clips.norm * run.height)
    return {
        "likelihood": log_likelihood(scaled, plan.sample_rate, plan.clips.gradient_noise / run.height),
        "variation": scaled.var(axis=0),
    }


def log_likelihood(seen: Floats, sample_rate: float, noise_multiplier: float) -> Floats:
    """(canaries,) log likelihood ratio of "in" to "out": the best of all tests where noise is what is claimed.

    Args:
        seen: (steps, canaries) noised sums at the canaries' places, in heights of a clipped canary.
        noise_multiplier: their deviation, in the same.
    """
    drawn: Floats = (2 * seen - 1) / (2 * noise_multiplier**2)
    if sample_rate < 1:
        drawn = np.logaddexp(np.log1p(-sample_rate), np.log(sample_rate) + drawn)
    total: Floats = drawn.sum(axis=0)
    return total
