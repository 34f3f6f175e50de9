"""ε of planned steps: computed once, looked up at once, never below the truth, and Rényi's beyond the plan."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.curve import FEW, EpsilonCurve, Kind, Planned
from gossipfl.privacy.ledger import open_account
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.meter import EpsilonMeter

DELTA = 1e-5
KIND: Kind = (0.02, 1.1)


def planned(steps: int, every: int, before: dict[Kind, int] | None = None) -> Planned:
    return Planned(before or {}, KIND, steps, every)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 60), st.integers(0, 5300))
def test_a_look_is_never_below_the_truth_and_never_falls(steps: int, every: int, own: int) -> None:
    curve = EpsilonCurve(planned(steps, every), DELTA, "rdp")
    found = curve.at({KIND: own})
    truth = epsilon([Charge(*KIND, own)], DELTA, "rdp")
    if found is None:
        assert own > steps + every
        return
    assert found >= truth
    later = curve.at({KIND: own + 1})
    assert later is None or later >= found


@pytest.mark.parametrize(("steps", "every"), [(70, 1), (650, 10), (5000, 10), (100_000, 100)])
def test_the_planned_end_is_exact_and_no_phases_end_far_above(steps: int, every: int) -> None:
    curve = EpsilonCurve(planned(steps, every), DELTA, "rdp")
    ends = range(every, steps + 1, every)
    assert curve.at({KIND: steps}) == epsilon([Charge(*KIND, steps)], DELTA, "rdp")
    # 6% of steps; of ε as much where it grows like them
    for own in ends[20::37]:
        assert curve.at({KIND: own}) <= 1.062 * epsilon([Charge(*KIND, own)], DELTA, "rdp")  # type: ignore[operator]
    assert curve.points < 160


def test_what_was_spent_before_counts_of_the_same_kind_too() -> None:
    before: dict[Kind, int] = {KIND: 30, (0.1, 2.0): 5}
    curve = EpsilonCurve(planned(20, 2, before), DELTA, "rdp")
    tally = {**before, KIND: 34}
    expected = epsilon([Charge(*kind, steps) for kind, steps in tally.items()], DELTA, "rdp")
    assert curve.at(tally) == pytest.approx(expected)


@pytest.mark.parametrize("tally", [{KIND: 200}, {KIND: 3, (0.1, 2.0): 1}, {(0.1, 2.0): 4}])
def test_steps_beyond_the_plan_are_not_on_it(tally: dict[Kind, int]) -> None:
    curve = EpsilonCurve(planned(100, 10, {(0.1, 2.0): 4}), DELTA, "rdp")
    found = curve.at(tally)
    assert found is None if tally != {(0.1, 2.0): 4} else found is not None


@pytest.mark.slow
def test_unplanned_steps_count_by_renyi_until_a_plan_has_them() -> None:
    meter, other = EpsilonMeter(DELTA, "prv"), (0.1, 2.0)
    meter.plan(planned(500, 5))
    assert meter.epsilon({KIND: 500}) == epsilon([Charge(*KIND, 500)], DELTA, "prv")
    unplanned = {KIND: 500, other: 7}
    charges = [Charge(*kind, steps) for kind, steps in unplanned.items()]
    assert meter.epsilon(unplanned) == epsilon(charges, DELTA, "rdp") > epsilon(charges, DELTA, "prv")
    meter.plan(Planned({KIND: 500}, other, 70, 1))
    assert epsilon(charges, DELTA, "prv") <= meter.epsilon(unplanned) < epsilon(charges, DELTA, "rdp")


def test_an_account_of_a_restarted_run_plans_from_what_others_have_spent(tmp_path: Path) -> None:
    def request(run: str) -> AccountRequest:
        return AccountRequest([b"x"], DELTA, "prv", None, public=False, new_account=None, run=run, node="a")

    plan = Charge(*KIND, 80)
    with open_account(tmp_path / "l", request("earlier")) as account:
        account.charge(Charge(0.1, 2.0, 5))
    for before in (0, 40):
        with open_account(tmp_path / "l", request("this")) as account:
            account.plan(plan, every=1)
            account.charge(Charge(*KIND, 40))
            counts = [Charge(0.1, 2.0, 5), Charge(*KIND, before + 40)]
            assert 1 <= account.receipt().epsilon / epsilon(counts, DELTA, "prv") <= 1.062


def test_where_phases_are_few_every_epsilon_is_the_accountants_own() -> None:
    meter = EpsilonMeter(DELTA, "prv")
    meter.plan(planned(FEW * 5, 5))
    for own in (3, 5, 8, FEW * 5, FEW * 5 + 1):
        assert meter.epsilon({KIND: own}) == epsilon([Charge(*KIND, own)], DELTA, "prv")


@pytest.mark.slow
def test_the_curve_of_100_000_steps_takes_ten_seconds_once_and_a_look_no_time() -> None:
    meter = EpsilonMeter(DELTA, "prv")
    started = time.process_time()
    meter.plan(planned(100_000, 100))
    assert time.process_time() - started < 15, "seven on a machine of its own"
    started = time.process_time()
    looks = [meter.epsilon({KIND: own}) for own in range(100, 100_001, 100)]
    assert (time.process_time() - started) / len(looks) < 5e-3
    assert looks == sorted(looks)
