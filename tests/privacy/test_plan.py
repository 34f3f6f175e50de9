import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.privacy import PrivacyConfig
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.gaussian import gaussian_epsilon
from gossipfl.privacy.pairs.noise import SeededNoise
from gossipfl.privacy.pairs.terms import PairTerms
from gossipfl.privacy.plan import Plan, delta_for, epsilon_if_replaced, make_plan, plan_for_all, spent_plan
from gossipfl.privacy.prv import prv_epsilon

TUTORIAL = [(8.0, 57.97), (4.0, 21.90), (2.0, 9.06), (1.0, 3.99)]
"""Nominal ε in each of 20 rounds, and what they cost together at δ = 1e-5."""


def plan_of(config: PrivacyConfig, units: int, batch_size: int, steps: int, spent: Sequence[Charge] = ()) -> Plan:
    training = TrainingConfig(phases=steps, local_steps=1, batch_size=batch_size)
    return make_plan(config, training, units=units, spent=spent)


def test_delta_is_by_default_the_smaller_of_a_thousandth_and_half_a_unit() -> None:
    assert delta_for(None, 100) == 1e-3
    assert delta_for(None, 5000) == 1e-4
    assert delta_for(1e-6, 5000) == 1e-6


def test_a_delta_above_half_a_unit_is_refused_with_the_limit() -> None:
    with pytest.raises(PrivacyError, match=r"privacy.target_delta 0.01 is above .* for n = 200 units"):
        plan_of(PrivacyConfig(level="example", noise_multiplier=1.0, target_delta=0.01), 200, 8, 1)


def test_a_target_decides_the_noise() -> None:
    plan = plan_of(PrivacyConfig(level="example", target_epsilon=8.0), 400, 128, 20)
    assert plan.sample_rate == 128 / 400
    assert plan.expected_batch == pytest.approx(128)
    assert 0.99 * 8 <= plan.epsilon <= 8
    assert plan.epsilon == epsilon([plan.charge(20)], plan.delta)
    assert plan.method == "prv"


def test_given_noise_decides_epsilon() -> None:
    plan = plan_of(PrivacyConfig(level="example", noise_multiplier=1.5), 1000, 50, 100)
    assert (plan.noise_multiplier, plan.target_epsilon) == (1.5, None)
    assert plan.epsilon == epsilon([Charge(0.05, 1.5, 100)], plan.delta)


def test_every_optimizer_step_is_charged_at_level_example_and_every_phase_at_level_update() -> None:
    training = TrainingConfig(phases=6, local_steps=5, batch_size=10)
    example = make_plan(PrivacyConfig(level="example", noise_multiplier=1.0), training, units=100)
    update = make_plan(PrivacyConfig(level="update", noise_multiplier=1.0), training, units=100)
    assert example.charge(example.steps) == Charge(0.1, 1.0, 30)
    assert update.charge(update.steps) == Charge(1.0, 1.0, 6)
    assert update.method == "exact"
    assert update.epsilon == pytest.approx(gaussian_epsilon(math.sqrt(6), 1e-3), rel=1e-9)


def test_a_target_at_level_update_is_met_by_all_phases_together() -> None:
    config = PrivacyConfig(level="update", target_epsilon=4.0, target_delta=1e-5)
    plan = make_plan(config, TrainingConfig(phases=20), units=400)
    assert 0.99 * 4 <= plan.epsilon <= 4
    assert plan.epsilon == pytest.approx(gaussian_epsilon(math.sqrt(20) / plan.noise_multiplier, 1e-5), rel=1e-9)


@pytest.mark.parametrize(("nominal", "composed"), TUTORIAL)
def test_noise_set_for_one_round_costs_what_all_rounds_cost(nominal: float, composed: float) -> None:
    config = PrivacyConfig(level="update", nominal_epsilon=nominal, target_delta=1e-5)
    plan = make_plan(config, TrainingConfig(phases=20), units=400)
    assert plan.noise_multiplier == pytest.approx(math.sqrt(2 * math.log(1.25 / 1e-5)) / nominal)
    assert plan.epsilon == pytest.approx(composed, abs=0.005)
    assert gaussian_epsilon(math.sqrt(20) / plan.noise_multiplier, 1e-5) == pytest.approx(composed, abs=0.005)
    assert prv_epsilon(((1.0, plan.noise_multiplier, 20),), 1e-5) == pytest.approx(composed, rel=0.005)
    assert plan.target_epsilon is None


def test_other_data_in_place_of_the_nodes_are_twice_as_far_as_none() -> None:
    config = PrivacyConfig(level="update", nominal_epsilon=4.0, target_delta=1e-5)
    plan = make_plan(config, TrainingConfig(phases=20), units=400)
    assert epsilon_if_replaced(plan) == pytest.approx(57.97, abs=0.005)
    spent = [Charge(1.0, plan.noise_multiplier, 5)]
    assert epsilon_if_replaced(plan, spent) == epsilon([Charge(1.0, plan.noise_multiplier / 2, 25)], 1e-5)


def test_what_is_spent_counts_against_the_target() -> None:
    config = PrivacyConfig(level="example", target_epsilon=4.0, accountant="rdp")
    fresh = plan_of(config, 500, 50, 50)
    later = plan_of(config, 500, 50, 50, [Charge(0.1, 1.5, 30)])
    assert later.noise_multiplier > fresh.noise_multiplier
    assert later.epsilon <= 4.0
    with pytest.raises(BudgetSpentError):
        plan_of(PrivacyConfig(level="update", target_epsilon=4.0), 500, 50, 50, [Charge(1.0, 1.0, 30)])


def test_other_nodes_are_taken_to_draw_no_more_noise_than_fresh_data_takes() -> None:
    """Data that has spent some draws more; that says nothing of the others' data."""
    links = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
    pairs = PairTerms("a", links, SeededNoise(1, "a", links["a"]))
    config = PrivacyConfig(level="correlated", target_epsilon=4.0, target_delta=1e-5, pair_noise_multiplier=2.0)
    training = TrainingConfig(phases=10)
    fresh, later = (
        make_plan(config, training, units=100, spent=spent, pairs=pairs) for spent in ((), [Charge(1.0, 5.0, 10)])
    )
    assert fresh.pairs is not None
    assert later.pairs is not None
    own, others = later.noise_multiplier, fresh.noise_multiplier
    assert own > others
    assert fresh.pairs.exposure == pairs.exposure(own=others, others=others, pair=2.0)
    assert later.pairs.exposure == pairs.exposure(own=own, others=others, pair=2.0)


PASTS = st.lists(
    st.lists(st.builds(Charge, st.just(0.1), st.sampled_from([0.9, 1.2, 3.0]), st.integers(1, 60)), max_size=2),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(PASTS, st.booleans())
def test_a_plan_suits_every_part_of_the_data_and_says_what_the_dearest_will_have_cost(
    pasts: list[list[Charge]],
    given_noise: bool,  # noqa: FBT001  # drawn
) -> None:
    wish = {"noise_multiplier": 1.5} if given_noise else {"target_epsilon": 20.0}
    config = PrivacyConfig.model_validate({"level": "example", "accountant": "rdp", "target_delta": 1e-5, **wish})
    training = TrainingConfig(phases=50, local_steps=1, batch_size=100)
    plan = plan_for_all(config, training, units=1000, pasts=pasts)
    costs = [epsilon([*past, plan.charge(50)], 1e-5, "rdp") for past in pasts]
    assert plan.epsilon == pytest.approx(max(costs), rel=1e-12)
    assert given_noise or max(costs) <= 20.0


def test_a_budget_that_some_part_has_spent_is_said_to_be_what_that_part_has_spent() -> None:
    config = PrivacyConfig(level="example", accountant="rdp", target_delta=1e-5, target_epsilon=2.0)
    little, much = [Charge(0.1, 3.0, 5)], [Charge(0.1, 1.0, 80)]
    for pasts in ([little, much], [much, little], [[], much]):
        with pytest.raises(BudgetSpentError):
            plan_for_all(config, TrainingConfig(phases=50, local_steps=1), units=1000, pasts=pasts)
        plan = spent_plan(config, units=1000, pasts=pasts)
        assert plan.epsilon == epsilon(much, 1e-5, "rdp")
        assert (plan.noise_multiplier, plan.steps, plan.noise_ahead) == (1.0, 0, None)


def test_a_batch_larger_than_the_data_takes_every_unit() -> None:
    plan = plan_of(PrivacyConfig(level="example", noise_multiplier=4.0), 10, 64, 3)
    assert (plan.sample_rate, plan.expected_batch, plan.method) == (1.0, 10.0, "exact")
    assert math.isfinite(plan.epsilon)


def test_the_quick_accountant_is_named_as_the_method() -> None:
    config = PrivacyConfig(level="example", noise_multiplier=1.0, accountant="rdp")
    assert plan_of(config, 100, 10, 10).method == "rdp"


def test_a_plan_for_no_data_is_refused() -> None:
    config = PrivacyConfig(level="example", noise_multiplier=1.0)
    with pytest.raises(PrivacyError, match="at least one unit"):
        plan_of(config, 0, 1, 1)


def test_level_none_has_no_plan() -> None:
    with pytest.raises(PrivacyError, match="none"):
        plan_of(PrivacyConfig(level="none"), 1, 1, 1)
