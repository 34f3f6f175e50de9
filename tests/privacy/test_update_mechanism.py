"""Level update: plain steps, and at the end of a phase its whole change, clipped and noised."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from tests.privacy.test_none_mechanism import gradients, parts_for

from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, PrivacyError
from gossipfl.privacy.account import Account
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.mechanisms import Mechanism, MechanismParts, Rows, Units, build_mechanism
from gossipfl.privacy.plan import Plan
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.privacy.streams import CHUNK, SecretStream, SeededStream, Stream

CLIP = 0.5
PLAN = Plan("update", 1.0, 2.0, CLIP, 1e-5, 10, 10, None, math.inf, "prv")
QUIET = replace(PLAN, noise_multiplier=1e-60)
"""Noise that vanishes in fp32, to look at the rest."""


def account(target: float | None = None) -> SimulatedAccount:
    return SimulatedAccount(1e-5, "prv", target)


def made(plan: Plan, own: Account | None = None, noise: Stream | None = None, dropout: float = 0.0) -> Mechanism:
    parts = replace(parts_for(dropout=dropout), plan=plan, account=own or account())
    return build_mechanism("update", parts if noise is None else replace(parts, noise=noise))


def paid(plan: Plan, noise: Stream | None = None) -> Mechanism:
    """A mechanism in the middle of a phase."""
    mechanism = made(plan, noise=noise)
    mechanism.draw(0)
    return mechanism


def vector(size: int, norm: float, seed: int = 0) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).standard_normal(size)
    return (values * (norm / np.linalg.norm(values))).astype(np.float32)


def length(increment: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(increment.astype(np.float64)))


# ---- clipping ----


@given(st.integers(1, 500), st.floats(0.5, 1e6), st.integers(0, 99))
def test_a_long_update_is_cut_to_the_norm_and_keeps_its_direction(size: int, factor: float, seed: int) -> None:
    long = vector(size, CLIP * max(factor, 1.001), seed)
    released = release_of(paid(QUIET), 0, long)
    assert length(released) == pytest.approx(CLIP, rel=1e-6)
    np.testing.assert_allclose(released, long * (CLIP / length(long)), rtol=1e-6)


def release_of(mechanism: Mechanism, first_step: int, increment: NDArray[np.float32]) -> NDArray[np.float32]:
    """What becomes of a phase that begins at 0."""
    found: NDArray[np.float32] = mechanism.release(first_step, np.zeros_like(increment), increment, phase=0)
    return found


def test_the_norm_is_that_of_the_whole_update_however_long_it_is() -> None:
    long = np.full(2 * CHUNK + 3, 1e-2, np.float32)
    assert length(release_of(paid(QUIET), 0, long)) == pytest.approx(CLIP, rel=1e-6)


def test_an_update_whose_squares_do_not_fit_into_fp32_is_cut_like_any_other() -> None:
    released = release_of(paid(QUIET), 0, np.array([3e30, 4e30], np.float32))
    np.testing.assert_allclose(released, [0.6 * CLIP, 0.8 * CLIP], rtol=1e-6)


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.9, 0.9999])
def test_a_short_update_is_kept_bit_for_bit_apart_from_its_noise(share: float) -> None:
    short = vector(1000, CLIP * share)
    assert np.array_equal(release_of(paid(QUIET), 0, short), short)
    noise = SeededStream(0, "a", "noise").at(0)
    noise.uniform(1)
    wanted = (short.astype(np.float64) + PLAN.noise_multiplier * CLIP * noise.normal(1000)).astype(np.float32)
    assert np.array_equal(release_of(paid(PLAN), 0, short), wanted)


def test_what_was_given_is_not_changed() -> None:
    long = vector(100, 7.0)
    before = long.copy()
    release_of(paid(PLAN), 0, long)
    assert np.array_equal(long, before)


# ---- noise ----


@pytest.mark.parametrize("norm", [0.1 * CLIP, 30 * CLIP])
@pytest.mark.parametrize("noise", [SeededStream(3, "a", "noise"), SecretStream()], ids=["seeded", "secret"])
def test_the_noise_has_the_planned_deviation_in_every_coordinate(norm: float, noise: Stream) -> None:
    size, deviation = CHUNK + 20_000, PLAN.noise_multiplier * CLIP
    update = vector(size, norm)
    mean = update.astype(np.float64) * min(1.0, CLIP / norm)
    drawn = (release_of(paid(PLAN, noise), 0, update) - mean) / deviation
    # a sum of squares of standard normals; a secret draw fails once in a million runs
    for part in (drawn, drawn[: size // 2], drawn[CHUNK:]):
        assert 5e-7 < stats.chi2.cdf(float(np.square(part).sum()), len(part)) < 1 - 5e-7
        assert abs(part.mean()) * math.sqrt(len(part)) < 5.1
    assert stats.kstest(drawn, "norm").pvalue > 1e-6


def test_every_phase_has_noise_of_its_own_and_a_seeded_one_the_same_again() -> None:
    def release(first_step: int) -> NDArray[np.float32]:
        return release_of(paid(PLAN), first_step, np.zeros(50, np.float32))

    assert np.array_equal(release(5), release(5))
    assert abs(float(np.corrcoef(release(5), release(10))[0, 1])) < 0.5


def test_secret_noise_is_never_the_same_twice() -> None:
    first, second = (release_of(paid(PLAN, SecretStream()), 0, np.zeros(4, np.float32)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_the_noise_does_not_share_its_numbers_with_dropout() -> None:
    # seeded: dropout of a step takes the first number of its stream
    stream = SeededStream(0, "a", "noise").at(0)
    first = stream.normal(1)
    released = release_of(paid(PLAN), 0, np.zeros(1, np.float32))
    assert released[0] != pytest.approx(PLAN.noise_multiplier * CLIP * first[0])


# ---- payment ----


class Watched:
    """An account that tells when it is charged."""

    def __init__(self, happened: list[str]) -> None:
        self._account, self._happened = account(), happened

    def charge(self, charge: Charge) -> Receipt:
        self._happened.append("charge")
        assert charge == Charge(1.0, PLAN.noise_multiplier, 1)
        return self._account.charge(charge)

    def receipt(self) -> Receipt:
        return self._account.receipt()

    def charges(self) -> tuple[Charge, ...]:
        return self._account.charges()

    def require(self, receipt: Receipt) -> None:
        self._account.require(receipt)


def loading(parts: MechanismParts, happened: list[str]) -> MechanismParts:
    def load(units: Units) -> Iterator[Rows]:
        happened.append("load")
        return parts.load(units)

    return replace(parts, load=load)


def by_gradient(mechanism: Mechanism, step: int) -> Receipt:
    return mechanism.gradient(step)


def by_draw(mechanism: Mechanism, step: int) -> Receipt:
    drawn = mechanism.draw(step)
    mechanism.finish(step, drawn, torch.zeros(3))
    return drawn.receipt


def test_a_phase_is_charged_once_before_any_data_is_loaded_and_a_redone_one_again() -> None:
    happened: list[str] = []
    parts = replace(parts_for(), plan=PLAN, account=Watched(happened))
    mechanism = build_mechanism("update", loading(parts, happened))
    for step in range(3):
        mechanism.gradient(step)
    happened.append("release")
    release_of(mechanism, 0, vector(21, 1.0))
    assert happened == ["charge", "load", "load", "load", "release"]
    mechanism.gradient(0)
    assert happened[5:] == ["charge", "load"]


@pytest.mark.parametrize("step", [by_gradient, by_draw])
def test_every_step_of_a_phase_shows_the_receipt_of_the_phase(step: Callable[[Mechanism, int], Receipt]) -> None:
    mechanism = made(PLAN)
    receipts = []
    for phase in range(2):
        receipts += [step(mechanism, 3 * phase + place) for place in range(3)]
        release_of(mechanism, 3 * phase, vector(21, 1.0))
    assert [receipt.charges for receipt in receipts] == [1, 1, 1, 2, 2, 2]


def test_a_change_that_nothing_was_paid_for_is_never_released() -> None:
    mechanism = made(PLAN)
    with pytest.raises(PrivacyError, match="nothing was paid"):
        release_of(mechanism, 0, vector(5, 0.1))
    mechanism.draw(0)
    release_of(mechanism, 0, vector(5, 0.1))
    with pytest.raises(PrivacyError, match="nothing was paid"):
        release_of(mechanism, 0, vector(5, 0.1))


def test_a_phase_without_a_step_costs_nothing_and_changes_nothing() -> None:
    own = account()
    assert not release_of(made(PLAN, own), 0, np.zeros(5, np.float32)).any()
    assert own.receipt().charges == 0


@pytest.mark.parametrize("step", [by_gradient, by_draw])
def test_a_phase_that_cannot_be_paid_is_refused_before_it_trains(step: Callable[[Mechanism, int], Receipt]) -> None:
    own = account(target=1.0)
    mechanism = made(replace(PLAN, noise_multiplier=5.0), own)
    step(mechanism, 0)
    release_of(mechanism, 0, vector(5, 0.1))
    with pytest.raises(BudgetSpentError):
        step(mechanism, 1)
    assert own.receipt().charges == 1


# ---- steps ----


def test_the_steps_are_those_without_privacy_dropout_included() -> None:
    plain = parts_for(dropout=0.5)
    build_mechanism("none", plain).gradient(1)
    noised = replace(parts_for(dropout=0.5), plan=PLAN, account=account())
    build_mechanism("update", noised).gradient(1)
    assert torch.equal(gradients(plain.module), gradients(noised.module))


def test_without_a_plan_there_is_no_mechanism() -> None:
    with pytest.raises(PrivacyError, match="needs a plan"):
        build_mechanism("update", parts_for())
