import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.errors import ConfigError, PrivacyError
from gossipfl.privacy.accounting import Charge, bound, compose, epsilon, merge, noise_multiplier_for
from gossipfl.privacy.gaussian import gaussian_delta, gaussian_epsilon
from gossipfl.privacy.pld import has_pld, pld_epsilon
from gossipfl.privacy.prv import MAX_KINDS, prv_epsilon

Row = tuple[float, float, int, float, float, float, float]
# q, σ, steps, δ; then ε by RDP and PRV (Opacus) and PLD (dp-accounting)
CONSTANTS: list[Row] = [
    (0.1, 1.0, 100, 1e-5, 7.899, 7.057, 7.047),
    (0.05, 2.0, 400, 1e-5, 2.461, 2.257, 2.246),
    (0.04, 1.0, 500, 1e-5, 6.513, 5.889, 5.879),
    (0.005, 0.8, 1000, 1e-6, 2.627, 2.014, 2.004),
    (1.0, 20.0, 100, 1e-5, 2.166, 2.003, 1.993),
]
TUTORIAL = [(8, 57.97), (4, 21.90), (2, 9.06), (1, 3.99)]

rates = st.floats(0.01, 1.0)
noises = st.floats(0.5, 20.0)
counts = st.integers(1, 200)


@pytest.mark.parametrize("row", CONSTANTS)
def test_epsilon_equals_the_known_constants(row: Row) -> None:
    rate, sigma, steps, delta, rdp, prv, pld = row
    charges = [Charge(rate, sigma, steps)]
    assert epsilon(charges, delta, "rdp") == pytest.approx(rdp, rel=0.01)
    assert epsilon(charges, delta, "prv") == pytest.approx(prv, rel=0.01)
    # an upper bound is never below the truth, which PLD gives to about 1e-3
    assert epsilon(charges, delta, "prv") > pld * 0.999


@pytest.mark.parametrize("row", CONSTANTS)
def test_the_convolution_alone_equals_the_known_constants(row: Row) -> None:
    rate, sigma, steps, delta, rdp, prv, pld = row
    found = prv_epsilon(((rate, sigma, steps),), delta)
    assert found is not None
    assert found == pytest.approx(prv, rel=0.01)
    assert pld * 0.999 < found < rdp


@pytest.mark.skipif(not has_pld(), reason="dp-accounting is not installed")
@pytest.mark.parametrize("row", CONSTANTS)
def test_privacy_loss_distributions_give_the_known_constants(row: Row) -> None:
    rate, sigma, steps, delta, _, _, pld = row
    found = pld_epsilon(((rate, sigma, steps),), delta)
    # the constants have three places behind the point
    assert found == pytest.approx(pld, abs=1e-3)
    stated = bound([Charge(rate, sigma, steps)], delta, "pld")
    assert stated.epsilon == pytest.approx(pld, abs=1e-3)
    assert stated.method == ("exact" if rate == 1 else "pld")


@pytest.mark.skipif(not has_pld(), reason="dp-accounting is not installed")
@settings(max_examples=5, deadline=None)
@given(rates, noises, counts)
def test_two_independent_libraries_agree_and_neither_is_below_the_truth(rate: float, sigma: float, steps: int) -> None:
    charges = [Charge(rate, sigma, steps), Charge(1.0, 30.0, 2)]
    pld, prv = epsilon(charges, 1e-5, "pld"), epsilon(charges, 1e-5, "prv")
    assert pld <= prv * (1 + 1e-4)
    assert pld >= 0.99 * prv - 0.011  # the mesh of prv is known to within a hundredth


@pytest.mark.skipif(has_pld(), reason="dp-accounting is installed")
def test_without_its_library_the_accountant_says_how_to_install_it() -> None:
    with pytest.raises(ConfigError, match="extra `pld`"):
        epsilon([Charge(0.1, 1.0)], 1e-5, "pld")


@pytest.mark.parametrize(("nominal", "composed"), TUTORIAL)
def test_twenty_rounds_of_the_tutorial_cost_what_they_cost(nominal: float, composed: float) -> None:
    sigma = math.sqrt(2 * math.log(1.25 / 1e-5)) / nominal
    convolved = prv_epsilon(((1.0, sigma, 20),), 1e-5)
    assert convolved == pytest.approx(composed, rel=0.005)
    assert epsilon([Charge(1.0, sigma, 20)], 1e-5, "prv") == pytest.approx(composed, rel=0.005)


def test_renyi_gives_the_known_figure_for_the_first_tutorial_row() -> None:
    sigma = math.sqrt(2 * math.log(1.25 / 1e-5)) / 8
    assert epsilon([Charge(1.0, sigma, 20)], 1e-5, "rdp") == pytest.approx(61.05, rel=0.01)


@given(st.floats(0.01, 30.0), st.floats(1e-9, 0.1))
def test_the_exact_formula_is_inverted_exactly(mu: float, delta: float) -> None:
    found = gaussian_epsilon(mu, delta)
    if found > 0:
        assert gaussian_delta(found, mu) == pytest.approx(delta, rel=1e-6)
    else:
        assert gaussian_delta(0.0, mu) <= delta


@pytest.mark.parametrize("mu", [1e4, 1e8, 1e20, 1e60, 1e200])
def test_next_to_no_noise_has_an_epsilon_all_the_same(mu: float) -> None:
    assert gaussian_epsilon(mu, 1e-5) == pytest.approx(mu * mu / 2 + mu * math.sqrt(2 * math.log(1e5)), rel=1e-3)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 20.0, 80.0])
@pytest.mark.parametrize("steps", [1, 30, 1000])
def test_convolution_of_full_batches_is_just_above_the_exact_formula(sigma: float, steps: int) -> None:
    exact = gaussian_epsilon(math.sqrt(steps) / sigma, 1e-5)
    convolved = prv_epsilon(((1.0, sigma, steps),), 1e-5)
    assert convolved is not None
    assert exact - 1e-3 * exact <= convolved <= exact * 1.01 + 0.011


@settings(max_examples=5, deadline=None)
@given(rates, noises, counts)
def test_no_accountant_is_above_renyi_and_the_method_is_named(rate: float, sigma: float, steps: int) -> None:
    tight, quick = bound([Charge(rate, sigma, steps)], 1e-5, "prv"), bound([Charge(rate, sigma, steps)], 1e-5, "rdp")
    assert 0 <= tight.epsilon <= quick.epsilon * (1 + 1e-9)
    assert quick.method == "rdp"
    assert (tight.method == "exact") == (rate == 1.0)


@settings(max_examples=3, deadline=None)
@given(rates, noises, st.integers(1, 150))
def test_epsilon_never_falls_with_another_step_nor_with_less_noise(rate: float, sigma: float, steps: int) -> None:
    now = epsilon([Charge(rate, sigma, steps)], 1e-5)
    slack = 0.01 * now + 1e-3  # two meshes differ by their own error
    assert epsilon([Charge(rate, sigma, steps * 2)], 1e-5) >= now - slack
    assert epsilon([Charge(rate, sigma / 1.5, steps)], 1e-5) >= now - slack


@given(st.lists(st.builds(Charge, rates, noises, counts), max_size=6), st.randoms())
def test_the_order_of_charges_and_how_they_are_cut_change_nothing(charges: list[Charge], random: "object") -> None:
    single = [Charge(charge.sample_rate, charge.noise_multiplier) for charge in charges for _ in range(charge.steps)]
    random.shuffle(single)  # type: ignore[attr-defined]
    assert compose(single) == compose(charges) == compose(merge(charges))


def test_unequal_kinds_of_steps_compose_to_what_equal_ones_would() -> None:
    whole = epsilon([Charge(0.1, 1.0, 100)], 1e-5)
    parts = [Charge(0.1, 1.0, 40), Charge(0.1, 1.0 + 1e-9, 35), Charge(0.1, 1.0 - 1e-9, 25)]
    assert epsilon(parts, 1e-5) == pytest.approx(whole, rel=1e-3)


def test_full_batches_beside_sampled_ones_count_as_one_gaussian() -> None:
    both = bound([Charge(0.1, 1.0, 100), Charge(1.0, 20.0, 60), Charge(1.0, 10.0, 10)], 1e-5)
    alone = epsilon([Charge(0.1, 1.0, 100)], 1e-5)
    assert both.method == "prv"
    assert alone < both.epsilon < epsilon([Charge(0.1, 1.0, 100), Charge(1.0, 20.0, 100)], 1e-5, "rdp")


@pytest.mark.parametrize(
    "charges",
    [
        [Charge(0.9, 0.01, 100)],
        [Charge(0.01, 0.1, 100_000)],
        [Charge(0.1, 1.0 + kind / 100, 10) for kind in range(MAX_KINDS + 1)],
    ],
    ids=["huge loss", "huge loss of many steps", "many kinds of steps"],
)
def test_where_the_convolution_cannot_be_trusted_renyi_answers_and_says_so(charges: list[Charge]) -> None:
    found = bound(charges, 1e-5, "prv")
    assert found.method == "rdp"
    assert found.epsilon == epsilon(charges, 1e-5, "rdp")


@pytest.mark.parametrize("rate", [1e-7, 1e-5, 0.999999])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 1000.0])
@pytest.mark.parametrize("steps", [1, 10_000])
@pytest.mark.slow
def test_extreme_parameters_give_a_finite_bound(rate: float, sigma: float, steps: int) -> None:
    assert 0 <= epsilon([Charge(rate, sigma, steps)], 1e-6) < math.inf


def test_nothing_costs_nothing_and_no_noise_costs_everything() -> None:
    assert epsilon([], 1e-5) == 0.0
    assert epsilon([Charge(0.1, 1.0, 0)], 1e-5) == 0.0
    assert epsilon([Charge(0.1, 1.0), Charge(0.1, 0.0)], 1e-5) == math.inf


@pytest.mark.parametrize(("rate", "sigma", "steps"), [(0.0, 1.0, 1), (1.1, 1.0, 1), (0.1, -1.0, 1), (0.1, 1.0, -1)])
def test_impossible_charges_are_refused(rate: float, sigma: float, steps: int) -> None:
    with pytest.raises(PrivacyError):
        Charge(rate, sigma, steps)


def test_impossible_deltas_and_unknown_accountants_are_refused() -> None:
    with pytest.raises(PrivacyError, match="delta 0"):
        epsilon([Charge(0.1, 1.0)], 0.0)
    with pytest.raises(ConfigError, match="prv"):
        epsilon([Charge(0.1, 1.0)], 1e-5, "prw")


@pytest.mark.parametrize("accountant", ["prv", "rdp", *(["pld"] if has_pld() else [])])
@pytest.mark.parametrize(
    ("target", "delta", "rate", "steps", "spent"),
    [
        (8.0, 1e-3, 0.3, 20, []),
        (1.0, 1e-5, 0.01, 1000, []),
        (8.0, 1e-5, 1.0, 100, []),
        (50.0, 1e-3, 0.5, 5, []),
        (8.0, 1e-5, 0.1, 100, [Charge(0.1, 1.0, 20), Charge(0.05, 2.0, 100), Charge(1.0, 30.0, 10)]),
    ],
)
@pytest.mark.slow
def test_calibrated_noise_spends_the_target_and_no_more(
    target: float, delta: float, rate: float, steps: int, spent: list[Charge], accountant: str
) -> None:
    sigma = noise_multiplier_for(target, delta=delta, sample_rate=rate, steps=steps, accountant=accountant, spent=spent)
    cost = epsilon([*spent, Charge(rate, sigma, steps)], delta, accountant)
    assert 0.99 * target <= cost <= target


def test_a_target_already_spent_is_refused_in_one_line() -> None:
    with pytest.raises(PrivacyError, match="already spent") as refused:
        noise_multiplier_for(2.0, delta=1e-5, sample_rate=0.1, steps=10, spent=[Charge(0.1, 1.0, 100)])
    assert "target_epsilon 2" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
@pytest.mark.slow
def test_a_target_that_no_noise_reaches_is_refused_in_one_line(accountant: str) -> None:
    with pytest.raises(PrivacyError, match="too small") as refused:
        noise_multiplier_for(1e-7, delta=1e-6, sample_rate=0.5, steps=1000, accountant=accountant)
    assert "\n" not in str(refused.value)
