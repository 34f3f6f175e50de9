"""Who was trained on: curves held against counting, the likelihood ratio against normals that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gossipfl.privacy.membership import likelihood_ratio, logits, ratio_of_losses, roc


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_the_chance_that_a_member_scores_higher(drawn: list[tuple[int, bool]]) -> None:
    scores, members = np.array([each[0] for each in drawn], float), np.array([each[1] for each in drawn])
    members[:2] = [True, False]
    pairs = scores[members][:, None] - scores[~members][None, :]
    assert roc(scores, members).auc == pytest.approx((np.sign(pairs) / 2 + 0.5).mean())


def test_the_true_rate_counts_members_above_all_but_one_in_a_hundred() -> None:
    members = np.arange(300) < 100
    scores = np.where(members, np.arange(300.0), 0.0)
    scores[100:102] = [50.5, 90.5]
    curve = roc(scores, members)
    assert curve.true_rate_at(0.0) == pytest.approx(0.09)
    assert curve.true_rate_at(0.005) == pytest.approx(0.49)
    assert curve.true_rate_at() == pytest.approx(0.99)


def test_logits_are_those_of_the_probability() -> None:
    chances = np.array([1e-9, 0.2, 0.5, 0.999])
    assert logits(-np.log(chances)) == pytest.approx(np.log(chances / (1 - chances)))
    assert np.isfinite(logits(np.array([0.0, 800.0]))).all()


def test_the_ratio_comes_close_to_that_of_the_true_densities() -> None:
    """Records of unlike difficulty: by likelihood ratio they are told, by their own score alone hardly."""
    rng = np.random.default_rng(5)
    hard, gain = rng.normal(0, 5, 2000), 2.0
    members = rng.random(2000) < 0.5
    in_shadow = np.concatenate([first := rng.random((16, 2000)) < 0.5, ~first])
    shadows = hard + gain * in_shadow + rng.standard_normal((32, 2000))
    target = hard + gain * members + rng.standard_normal(2000)
    best = stats.norm.cdf(gain / np.sqrt(2))
    assert roc(likelihood_ratio(target, shadows, in_shadow), members).auc == pytest.approx(best, abs=0.03)
    assert roc(target, members).auc < best - 0.2


def test_losses_of_labels_go_by_their_logits() -> None:
    losses, shadows = np.array([0.1, 2.0]), np.array([[0.2, 1.0], [0.3, 2.5], [0.5, 0.9], [0.1, 3.0]])
    flags = np.array([[True, False], [False, True], [True, False], [False, True]])
    by_hand = likelihood_ratio(logits(losses), logits(shadows), flags)
    assert ratio_of_losses(losses, shadows, flags, classifies=True) == pytest.approx(by_hand)
    assert ratio_of_losses(losses, shadows, flags, classifies=False) == pytest.approx(
        likelihood_ratio(-losses, -shadows, flags)
    )
