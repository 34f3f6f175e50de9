import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.errors import BudgetSpentError
from gossipfl.privacy.accounting import Charge, epsilon, noise_multiplier_for
from gossipfl.privacy.curve import Kind
from gossipfl.privacy.meter import EpsilonMeter

DELTA = 1e-5


def spend(meter: EpsilonMeter, tally: dict[Kind, int], charge: Charge) -> list[float]:
    """Charges until it is refused; the bounds given on the way."""
    bounds, kind = [], (charge.sample_rate, charge.noise_multiplier)
    while True:
        try:
            bounds.append(meter.admit(tally, charge))
        except BudgetSpentError:
            return bounds
        tally[kind] = tally.get(kind, 0) + charge.steps


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
def test_it_admits_exactly_the_steps_that_fit(accountant: str) -> None:
    meter, tally = EpsilonMeter(DELTA, accountant, 3.0), {(0.2, 2.0): 7}
    spend(meter, tally, Charge(0.1, 1.3))
    charges = [Charge(*kind, steps) for kind, steps in tally.items()]
    assert epsilon(charges, DELTA, accountant) <= 3.0
    assert epsilon([*charges, Charge(0.1, 1.3)], DELTA, accountant) > 3.0


def test_a_plan_is_admitted_to_its_last_step() -> None:
    sigma = noise_multiplier_for(4.0, delta=DELTA, sample_rate=0.2, steps=30)
    assert len(spend(EpsilonMeter(DELTA, "prv", 4.0), {}, Charge(0.2, sigma))) >= 30


@settings(max_examples=3, deadline=None)
@given(st.floats(0.02, 0.3), st.floats(0.9, 3.0), st.integers(1, 3))
def test_every_bound_on_the_way_is_above_the_truth_and_within_the_target(q: float, sigma: float, steps: int) -> None:
    meter, charge, tally = EpsilonMeter(DELTA, "prv", 2.0), Charge(q, sigma, steps), {(0.01, 1.5): 10}
    kind = (q, sigma)
    for _ in range(6):
        try:
            given_bound = meter.admit(tally, charge)
        except BudgetSpentError:
            break
        tally[kind] = tally.get(kind, 0) + steps
        truth = epsilon([Charge(*k, count) for k, count in tally.items()], DELTA)
        assert truth * (1 - 2e-3) <= given_bound <= 2.0


def test_without_a_target_everything_is_admitted() -> None:
    assert EpsilonMeter(DELTA).admit({}, Charge(1.0, 0.1, 1000)) > 1000


def test_exact_epsilon_is_that_of_the_accountant() -> None:
    assert EpsilonMeter(DELTA).epsilon({(0.1, 1.0): 100}) == epsilon([Charge(0.1, 1.0, 100)], DELTA)


def test_a_refusal_names_target_and_cost() -> None:
    with pytest.raises(BudgetSpentError, match=r"target_epsilon 1 .* delta 1e-05"):
        EpsilonMeter(DELTA, "prv", 1.0).admit({(0.1, 1.0): 1000}, Charge(0.1, 1.0))


@pytest.mark.slow
def test_thousands_of_steps_are_checked_at_a_millisecond_each() -> None:
    sigma = noise_multiplier_for(2.0, delta=DELTA, sample_rate=0.01, steps=4000)
    start = time.process_time()
    steps = len(spend(EpsilonMeter(DELTA, "prv", 2.0), {}, Charge(0.01, sigma)))
    assert steps >= 4000
    assert (time.process_time() - start) / steps < 5e-3  # generous: the machine may be busy


def test_where_every_step_takes_every_unit_the_bound_is_the_exact_figure() -> None:
    meter, tally = EpsilonMeter(DELTA, "prv", 8.0), {(1.0, 4.0): 2}
    bounds = spend(meter, tally, Charge(1.0, 5.0))
    exact = [epsilon([Charge(1.0, 4.0, 2), Charge(1.0, 5.0, steps)], DELTA) for steps in range(1, len(bounds) + 2)]
    assert bounds == exact[:-1]
    assert bounds[-1] <= 8.0 < exact[-1]
