"""Lower bounds of ε: the paper's figures, another computation of theorem 5.2, and that they are bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.privacy.audit_bounds import Guesses, best_bound, guess, lower_bound, p_value


def exact_p_value(guesses: Guesses, epsilon: float, delta: Fraction) -> Fraction:
    """Theorem 5.2 by sums of fractions, written down as in the paper."""
    right = Fraction(math.exp(epsilon) / (1 + math.exp(epsilon)))

    def chance(first: int, end: int) -> Fraction:
        return sum(
            (
                math.comb(guesses.made, k) * right**k * (1 - right) ** (guesses.made - k)
                for k in range(max(first, 0), end)
            ),
            Fraction(0),
        )

    beta = chance(guesses.correct, guesses.made + 1)
    slack = max(chance(guesses.correct - i, guesses.correct) / i for i in range(1, guesses.canaries + 1))
    return beta + 2 * guesses.canaries * delta * slack


@pytest.mark.parametrize(
    ("guesses", "delta", "epsilon"),
    [
        (Guesses(100, 100, 100), 1e-5, 3.49),
        (Guesses(200, 200, 200), 1e-5, 4.19),
        (Guesses(1000, 200, 150), 1e-5, 0.82),
    ],
)
def test_power_is_that_of_the_paper(guesses: Guesses, delta: float, epsilon: float) -> None:
    assert lower_bound(guesses, delta=delta) == pytest.approx(epsilon, abs=0.006)


@pytest.mark.parametrize(("canaries", "made", "correct"), [(20, 20, 17), (30, 10, 10), (12, 12, 1), (40, 20, 13)])
@pytest.mark.parametrize("epsilon", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-2])
def test_the_p_value_is_that_of_fractions(canaries: int, made: int, correct: int, epsilon: float, delta: float) -> None:
    guesses = Guesses(canaries, made, correct)
    exact = min(1.0, float(exact_p_value(guesses, epsilon, Fraction(delta))))
    assert p_value(guesses, epsilon=epsilon, delta=delta) == pytest.approx(exact, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(made=st.integers(1, 60), data=st.data(), delta=st.sampled_from([0.0, 1e-6, 1e-3, 0.05]))
def test_everything_below_the_bound_is_refuted_and_the_bound_is_not(
    made: int, data: st.DataObject, delta: float
) -> None:
    guesses = Guesses(made + 20, made, data.draw(st.integers(0, made)))
    bound = lower_bound(guesses, delta=delta)
    for part in (0.0, 0.3, 0.9, 0.999):
        assert bound == 0 or p_value(guesses, epsilon=part * bound, delta=delta) < 0.05
    assert p_value(guesses, epsilon=bound + 1e-3, delta=delta) >= 0.05


def test_more_right_guesses_never_show_less() -> None:
    bounds = [lower_bound(Guesses(100, 50, right), delta=1e-5) for right in range(51)]
    assert bounds == sorted(bounds)
    assert bounds[25] == 0


def test_guesses_go_by_the_highest_and_the_lowest_scores() -> None:
    included = np.array([True, True, False, False, True, False])
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert guess(scores, included, 2) == Guesses(6, 2, 2)
    assert guess(scores, included, 4) == Guesses(6, 4, 3)
    # scores that say nothing are no better than a coin: order is by place
    assert guess(np.zeros(6), included, 6).correct == 2


def test_the_best_of_many_useless_attacks_refutes_an_epsilon_of_zero_as_seldom_as_it_should() -> None:
    """Scores know nothing: by the union bound at most one audit in twenty shows anything at all."""
    rng = np.random.default_rng(3)
    shown = 0
    for _ in range(400):
        included = rng.random(100) < 0.5
        attacks = {str(name): rng.standard_normal(100) for name in range(3)}
        shown += best_bound(attacks, included, delta=0.0).epsilon > 0
    assert shown <= 0.05 * 400 + 2 * math.sqrt(400 * 0.05 * 0.95)


def test_randomized_response_is_bounded_by_its_own_epsilon_and_not_much_less() -> None:
    """The mechanism for which the theorem is tight: each bit is told rightly with e^ε / (1 + e^ε)."""
    rng, epsilon, above, found = np.random.default_rng(7), 1.5, 0, []
    for _ in range(60):
        included = rng.random(1000) < 0.5
        told = np.where(rng.random(1000) < 1 / (1 + math.exp(-epsilon)), included, ~included)
        bound = best_bound({"told": told + 1e-3 * rng.random(1000)}, included, delta=0.0, guesses=1000).epsilon
        found.append(bound)
        above += bound > epsilon
    assert above <= 7
    assert np.mean(found) > 1.2


def test_a_fixed_number_of_guesses_has_all_of_the_confidence() -> None:
    included = np.arange(100) < 50
    perfect = np.where(included, 1.0, 0.0)
    alone, several = (best_bound({"told": perfect}, included, delta=0.0, guesses=made) for made in (100, None))
    assert (alone.tests, several.tests) == (1, 4)
    assert alone.epsilon == pytest.approx(3.493, abs=1e-3)
    assert alone.epsilon > several.epsilon > 2.5
