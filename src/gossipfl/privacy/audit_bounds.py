"""How large ε must be at least, from guesses who was in the data: auditing with one run.

    m canaries, each in with probability ½ ── training ──> scores ── the r clearest ──> guesses, v of them right

    p(ε) = P[B ≥ v] + 2mδ · max_{1 ≤ i ≤ m} P[v > B ≥ v − i] / i        B ~ Bin(r, e^ε / (1 + e^ε))

No mechanism that is (ε, δ)-private lets anybody guess v right with a chance above p(ε): an ε with p(ε) below
1 − confidence is refuted. One way to guess is fixed before the run; of several, each is tested at its share of
1 − confidence (union bound), so the best may be taken.

Source: Steinke, Nasr & Jagielski (2023), "Privacy auditing with one (1) training run", theorem 5.2.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

CONFIDENCE = 0.95
SHARES = (1.0, 0.5, 0.25, 0.125)
"""Parts of the canaries that are guessed: half of the guesses are "in", for the highest scores, half "out"."""
_LARGEST = 40.0
"""ε at which a coin that is right with e^ε / (1 + e^ε) is always right, in float64."""
_STRIDE = 0.1
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Guesses:
    """How well somebody has guessed.

    Attributes:
        canaries: each of which was in with probability ½, by itself.
        made, correct: guesses; about the other canaries nothing was said.
    """

    canaries: int
    made: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.made <= self.canaries:
            raise ValueError(f"{self.correct} right of {self.made} guesses about {self.canaries} canaries")


@dataclass(frozen=True, slots=True)
class LowerBound:
    """What guessing has shown.

    Attributes:
        epsilon: at least, with the confidence asked for; 0: nothing.
        attack: name of the scores that the guesses came from.
        guesses: of the best of all tests.
        tests: ways of guessing that shared the chance of an error.
    """

    epsilon: float
    attack: str
    guesses: Guesses
    tests: int


def p_value(guesses: Guesses, *, epsilon: float, delta: float) -> float:
    """Chance, at most, that a mechanism which is (ε, δ)-private lets so many guesses be right; it grows with ε.

    Source: theorem 5.2.
    """
    right = _of_coin(epsilon)
    made, correct, canaries = guesses.made, guesses.correct, guesses.canaries
    if correct == 0:
        return 1.0
    at_least = float(binom.sf(correct - 1, made, right))
    if delta == 0:
        return at_least
    # P[v > B ≥ v − i] for i = 1 … v; beyond, only the divisor grows
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), made, right))
    slack = float((below / np.arange(1, correct + 1)).max())
    return min(1.0, at_least + 2 * canaries * delta * slack)


def lower_bound(guesses: Guesses, *, delta: float, confidence: float = CONFIDENCE) -> float:
    """The ε up to which so many right guesses refute every one; 0 when they refute none.

    Args:
        confidence: that the mechanism is (ε, δ)-private for no smaller ε.
    """
    error = 1 - confidence

    def excess(epsilon: float) -> float:
        return p_value(guesses, epsilon=epsilon, delta=delta) - error

    # the term with δ need not grow with ε: the first place that is not refuted counts
    for below, above in pairwise(np.arange(0.0, _LARGEST, _STRIDE)):
        if excess(above) >= 0:
            return float(brentq(excess, below, above, xtol=1e-9)) if excess(below) < 0 else 0.0
    raise ValueError(f"{guesses} refute every ε")


def guess(scores: Floats, included: NDArray[np.bool_], made: int) -> Guesses:
    """Guesses "in" for the highest scores and "out" for the lowest, half of each, or one "in" more.

    Args:
        scores: (canaries,) the higher, the more a canary looks as if it were in. Equal scores are ordered by place,
            which knows nothing of who is in.
        included: (canaries,) the truth.
        made: guesses, at most as many as canaries.
    """
    order = np.argsort(scores, kind="stable")
    outs, ins = order[: made // 2], order[len(order) - (made - made // 2) :]
    correct = int(included[ins].sum()) + int((~included[outs]).sum())
    return Guesses(len(scores), made, correct)


def best_bound(
    attacks: Mapping[str, Floats],
    included: NDArray[np.bool_],
    *,
    delta: float,
    confidence: float = CONFIDENCE,
    guesses: int | None = None,
) -> LowerBound:
    """The best bound of all attacks and numbers of guesses, valid although it is the best.

    Args:
        attacks: by name, (canaries,) scores each, see `guess`; at least one.
        guesses: the one number of guesses, fixed before; None: `SHARES` of the canaries.

    Guarantees:
        Every test has an equal share of 1 − confidence, whatever comes out.
    """
    made = made_of(len(included), guesses)
    tests = len(attacks) * len(made)
    each = 1 - (1 - confidence) / tests
    found = [(name, guess(scores, included, count)) for name, scores in attacks.items() for count in made]
    bounds = [LowerBound(lower_bound(of, delta=delta, confidence=each), name, of, tests) for name, of in found]
    return max(bounds, key=lambda bound: bound.epsilon)


def made_of(canaries: int, guesses: int | None) -> Sequence[int]:
    """Numbers of guesses that are tried."""
    if guesses is not None:
        return (min(guesses, canaries),)
    return sorted({max(1, round(share * canaries)) for share in SHARES})


def _of_coin(epsilon: float) -> float:
    return 1 / (1 + math.exp(-epsilon))
