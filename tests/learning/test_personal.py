"""A node's own model: laws of the line between two states, of the choice on it, of its training and its price."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sim.training import PRIVACY, UPDATE, digits, load

from gossipfl.config.experiment import Experiment, TaskConfig
from gossipfl.errors import ConfigError, DataError, DivergedError
from gossipfl.learning.alone import lone_experiment
from gossipfl.learning.bench import Bench
from gossipfl.learning.personal import Personal, Tuned, between, cross_fitted, least, make_personal, weights
from gossipfl.learning.tasks import Scores, make_task
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.runs.roster import Roster
from gossipfl.state import AdapterSpec, AdapterState, Segment

TASK = make_task(TaskConfig(kind="vector-classification", labels=("a", "b")))
OWN = {"phases": 2, "interpolate": True}
finite = st.floats(-1e6, 1e6, width=32)


def state_of(values: Sequence[float]) -> AdapterState:
    vector = np.array(values, np.float32)
    return AdapterState(AdapterSpec((Segment("w", (len(vector),)),)), vector)


def scores_of(losses: Sequence[float]) -> list[Scores]:
    ones = torch.ones(len(losses))
    # all are of one class, and said to be
    answers = torch.zeros((2, len(losses)), dtype=torch.int64)
    return [Scores(torch.tensor(losses, dtype=torch.float32), ones, ones, answers)]


def experiment(folder: Path, **changes: Any) -> Experiment:
    asked = {"simulation__nodes": 2, "data__held_out": 0.3, "training__phases": 2, "personal": dict(OWN)}
    return load(folder, digits(**{**asked, **changes})).experiment


def fleet(folder: Path, **changes: Any) -> Fleet:
    wished = experiment(folder, **changes)
    names = wished.simulation.names
    return build_fleet(wished, Roster(names, folder), names)


def bench_of(folder: Path, **changes: Any) -> Bench:
    return fleet(folder, **changes).benches["n0"]


def tuned_on(bench: Bench) -> Tuned:
    found: list[Tuned] = []
    make_personal(bench, bench.adapted.initial, found.append)
    return found[-1]


@settings(max_examples=30)
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=9), st.floats(0, 1))
def test_the_line_ends_at_both_states_bit_for_bit_and_stays_between_them(
    pairs: list[tuple[float, float]], weight: float
) -> None:
    mixed, own = state_of([pair[0] for pair in pairs]), state_of([pair[1] for pair in pairs])
    assert between(mixed, own, 0.0) is mixed
    assert between(mixed, own, 1.0) is own
    assert between(mixed, mixed * 1.0, weight) == mixed
    found = between(mixed, own, weight).vector
    low, high = np.minimum(mixed.vector, own.vector), np.maximum(mixed.vector, own.vector)
    slack = 1e-6 * np.maximum(abs(low), abs(high)) + 1e-30
    assert ((found >= low - slack) & (found <= high + slack)).all()


@settings(max_examples=30)
@given(st.integers(2, 1001))
def test_the_weights_that_are_tried_rise_from_exactly_zero_to_exactly_one(count: int) -> None:
    tried = weights(count)
    assert (len(tried), tried[0], tried[-1]) == (count, 0.0, 1.0)
    assert list(tried) == sorted(set(tried))


@settings(max_examples=30)
@given(
    st.integers(2, 6).flatmap(
        lambda rows: st.lists(
            st.lists(st.one_of(st.floats(0, 10, width=32), st.just(math.nan)), min_size=rows, max_size=rows),
            min_size=2,
            max_size=7,
        )
    )
)
def test_what_is_taken_is_no_worse_on_what_it_was_chosen_by_than_any_other(models: list[list[float]]) -> None:
    place, _ = cross_fitted([(scores_of(losses[::2]), scores_of(losses[1::2])) for losses in models], TASK)

    def loss(losses: Sequence[float]) -> float:
        # halves one after the other, as they are summed
        found = float(np.mean(np.array([*losses[::2], *losses[1::2]], np.float32).astype(np.float64)))
        return found if math.isfinite(found) else math.inf

    assert loss(models[place]) <= min(loss(losses) for losses in models) * (1 + 1e-12)
    assert math.isinf(loss(models[place])) or loss(models[place]) <= loss(models[0])


def test_of_equal_losses_the_one_nearer_to_the_others_is_taken_and_nothing_beats_a_number() -> None:
    assert least([1.0, 0.5, 0.5]) == 1
    assert least([math.nan, math.inf, 7.0]) == 2
    assert least([math.nan, math.nan]) == 0


def test_no_record_judges_a_choice_in_which_it_had_a_part() -> None:
    # the even half loves model 0 and the odd half model 1: each is judged by what the other one took
    found = cross_fitted([(scores_of([0.0, 0.0]), scores_of([9.0])), (scores_of([5.0, 5.0]), scores_of([0.0]))], TASK)
    assert found[1].loss == pytest.approx((5 + 5 + 9) / 3)
    assert found[1].examples == 3
    # by all records together model 0 is better, by 3 to 10/3
    assert found[0] == 0


def test_halves_are_of_units_and_together_all_that_is_held_out(tmp_path: Path) -> None:
    held_out = bench_of(tmp_path).data.held_out
    even, odd = (held_out.only(np.arange(first, held_out.units, 2)) for first in (0, 1))
    rows = [next(part.rows_in_order(part.rows)).tensors["features"].numpy() for part in (even, odd, held_out)]
    assert np.array_equal(rows[0], rows[2][::2])
    assert np.array_equal(rows[1], rows[2][1::2])
    assert (even.units, even.units - odd.units) == (math.ceil(held_out.units / 2), held_out.units % 2)


@pytest.mark.parametrize("level", ["none", "example", "update"])
def test_gone_on_with_in_another_process_it_is_as_if_it_never_stopped(level: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"privacy": PRIVACY[level], "personal__phases": 3}
    whole = tuned_on(bench_of(tmp_path, **changes))
    first, later = (fleet(tmp_path, **changes) for _ in range(2))
    personal = Personal(first.benches["n0"])
    part = personal.advance(personal.begin(first.initial, first.benches["n0"].account.receipt()))
    later.restore_accounts(first.accounts())
    other = Personal(later.benches["n0"])
    while not other.is_over(part):
        part = other.advance(part)
    assert np.array_equal(part.state.vector, whole.state.vector)
    assert (part.phases, part.steps, part.receipt.epsilon) == (whole.phases, whole.steps, whole.receipt.epsilon)
    assert not np.array_equal(part.state.vector, part.mixed.vector)


@pytest.mark.parametrize(("privacy", "per_phase"), [(PRIVACY["example"], 5), (UPDATE, 1)], ids=["example", "update"])
def test_its_phases_are_planned_and_charged_like_all_others(
    privacy: dict[str, Any], per_phase: int, tmp_path: Path
) -> None:
    target = {**privacy, "target_epsilon": 6.0, "noise_multiplier": None, "accountant": "rdp"}
    bench = bench_of(tmp_path, privacy=target)
    assert bench.plan is not None
    assert bench.plan.steps == 4 * per_phase
    state = bench.adapted.initial
    for phase in range(2):
        state = bench.learner.train(state, first_step=5 * phase, steps=5, phase=phase).state
    before = bench.account.receipt()
    tuned: list[Tuned] = []
    make_personal(bench, state, tuned.append)
    after = bench.account.receipt()
    assert (before.steps, after.steps) == (2 * per_phase, 4 * per_phase)
    assert before.epsilon < after.epsilon <= 6.0
    assert after.epsilon == pytest.approx(bench.plan.epsilon)
    bench.account.require(tuned[-1].receipt)
    # the budget is spent: no phase more
    further = Personal(bench).advance(replace(tuned[-1], phases=0))
    assert (further.exhausted, further.state == tuned[-1].state) == (True, True)


def test_what_stays_is_trained_as_without_privacy_and_costs_nothing(tmp_path: Path) -> None:
    plain = tuned_on(bench_of(tmp_path))
    stays = bench_of(tmp_path, privacy=PRIVACY["example"], personal__stays=True)
    own = tuned_on(stays)
    assert np.array_equal(own.state.vector, plain.state.vector)
    assert stays.account.receipt().steps == 0
    # whoever holds it against a ledger finds that none covers it
    assert math.isinf(own.receipt.epsilon)
    charged = tuned_on(bench_of(tmp_path, privacy=PRIVACY["example"]))
    assert not np.array_equal(charged.state.vector, plain.state.vector)


def test_a_constant_rate_of_its_own_and_fresh_moments_behind_any_schedule(tmp_path: Path) -> None:
    def moved(**changes: Any) -> NDArray[np.float32]:
        tuned = tuned_on(bench_of(tmp_path, training__optimizer="sgd", **changes))
        difference: NDArray[np.float32] = tuned.state.vector - tuned.mixed.vector
        return difference

    constant = moved()
    assert np.array_equal(moved(training__schedule="linear", training__warmup_steps=3), constant)
    assert np.array_equal(moved(personal__learning_rate=0.002), constant)
    assert np.linalg.norm(moved(personal__learning_rate=0.001)) < 0.9 * np.linalg.norm(constant)


def test_without_personal_phases_nothing_is_prepared_planned_or_drawn_anew(tmp_path: Path) -> None:
    plain = experiment(tmp_path, personal={})
    assert plain.charged_training is plain.training
    assert bench_of(tmp_path, personal={}).tuner is None


def test_alone_is_as_many_phases_and_noised_only_where_its_model_might_leave(tmp_path: Path) -> None:
    charged = lone_experiment(experiment(tmp_path, privacy=PRIVACY["example"]))
    assert (charged.training.phases, charged.personal.phases, charged.privacy.level) == (4, 0, "example")
    stays = experiment(tmp_path, privacy=PRIVACY["example"], personal__stays=True)
    assert lone_experiment(stays).privacy.level == "none"


def test_one_held_out_unit_cannot_choose_and_judge(tmp_path: Path) -> None:
    few = {"source": "few.jsonl", "held_out": 0.01, "split": {"kind": "iid"}}
    row = '{"features": [' + ", ".join(["1"] * 64) + '], "label": "1"}\n'
    (tmp_path / "few.jsonl").write_text("".join(row.replace("1,", f"{place},", 1) for place in range(8)))
    with pytest.raises(DataError, match=r"personal\.interpolate: the node holds out 1 units, two or more"):
        fleet(tmp_path, data=few)
    assert fleet(tmp_path, data=few, personal={"phases": 1}).benches["n0"].tuner is not None


def test_values_that_are_no_longer_finite_are_said_to_be_of_a_personal_phase(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, training__optimizer="sgd", personal__learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"personal phase 1: .*learning_rate 1e\+30 is too high"):
        make_personal(bench, bench.adapted.initial)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"personal": {"interpolate": True}}, "phases: without any there is no personal model"),
        ({"personal": {"stays": True}}, "phases: without any"),
        ({"personal": {"phases": 1, "weights": 5}}, "weights: are tried with interpolate"),
        ({"data__held_out": 0.0}, "data.held_out above 0"),
        ({"privacy": {"level": "correlated", "noise_multiplier": 5.0, "pair_noise_multiplier": 1.0}}, "never mixed"),
    ],
)
def test_sections_that_do_not_go_together_are_one_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        experiment(tmp_path, **changes)
    assert "\n" not in str(found.value)
