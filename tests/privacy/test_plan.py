import math

import pytest

from gossipfl.config.experiment import PrivacyConfig
from gossipfl.errors import PrivacyError
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.plan import delta_for, make_plan


def test_delta_is_by_default_the_smaller_of_a_thousandth_and_half_a_unit() -> None:
    assert delta_for(None, 100) == 1e-3
    assert delta_for(None, 5000) == 1e-4
    assert delta_for(1e-6, 5000) == 1e-6


def test_a_delta_above_half_a_unit_is_refused_with_the_limit() -> None:
    with pytest.raises(PrivacyError, match=r"privacy.target_delta 0.01 is above .* for n = 200 units"):
        make_plan(
            PrivacyConfig(level="example", noise_multiplier=1.0, target_delta=0.01), units=200, batch_size=8, steps=1
        )


def test_a_target_decides_the_noise() -> None:
    plan = make_plan(PrivacyConfig(level="example", target_epsilon=8.0), units=400, batch_size=128, steps=20)
    assert plan.sample_rate == 128 / 400
    assert plan.expected_batch == pytest.approx(128)
    assert 0.99 * 8 <= plan.epsilon <= 8
    assert plan.epsilon == epsilon([plan.charge(20)], plan.delta)
    assert plan.method == "prv"


def test_given_noise_decides_epsilon() -> None:
    plan = make_plan(PrivacyConfig(level="example", noise_multiplier=1.5), units=1000, batch_size=50, steps=100)
    assert (plan.noise_multiplier, plan.target_epsilon) == (1.5, None)
    assert plan.epsilon == epsilon([Charge(0.05, 1.5, 100)], plan.delta)


def test_what_is_spent_counts_against_the_target() -> None:
    config = PrivacyConfig(level="example", target_epsilon=4.0, accountant="rdp")
    fresh = make_plan(config, units=500, batch_size=50, steps=50)
    later = make_plan(config, units=500, batch_size=50, steps=50, spent=[Charge(0.1, 1.5, 30)])
    assert later.noise_multiplier > fresh.noise_multiplier
    assert later.epsilon <= 4.0


def test_a_batch_larger_than_the_data_takes_every_unit() -> None:
    plan = make_plan(PrivacyConfig(level="example", noise_multiplier=4.0), units=10, batch_size=64, steps=3)
    assert (plan.sample_rate, plan.expected_batch, plan.method) == (1.0, 10.0, "exact")
    assert math.isfinite(plan.epsilon)


def test_the_quick_accountant_is_named_as_the_method() -> None:
    config = PrivacyConfig(level="example", noise_multiplier=1.0, accountant="rdp")
    assert make_plan(config, units=100, batch_size=10, steps=10).method == "rdp"


@pytest.mark.parametrize(("units", "batch_size", "steps"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_an_empty_plan_is_refused(units: int, batch_size: int, steps: int) -> None:
    config = PrivacyConfig(level="example", noise_multiplier=1.0)
    with pytest.raises(PrivacyError):
        make_plan(config, units=units, batch_size=batch_size, steps=steps)


def test_level_none_has_no_plan() -> None:
    with pytest.raises(PrivacyError, match="none"):
        make_plan(PrivacyConfig(level="none"), units=1, batch_size=1, steps=1)
