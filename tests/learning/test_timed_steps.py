"""A phase that is over after some seconds: how many steps it does, and what says so."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.learning.vectors import sites, vector_experiment
from torch import nn

from gossipfl.config.training import TrainingConfig
from gossipfl.errors import PrivacyError
from gossipfl.learning.bench import Bench, learner_for, load_resident
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import load_fleet_records
from gossipfl.learning.learner import Learner
from gossipfl.learning.optimizer import learning_rate
from gossipfl.learning.rehearsal import made_up, rehearsal
from gossipfl.learning.timed import steps_in, timed_steps

NOISE: dict[str, Any] = {"level": "example", "noise_multiplier": 1.0, "accountant": "rdp"}
UPDATE: dict[str, Any] = {"level": "update", "noise_multiplier": 1.0}


class Watch:
    """A clock on which so many seconds pass whenever something is done."""

    def __init__(self, *takes: float) -> None:
        self.now = 0.0
        self._takes: Iterator[float] = iter(takes)

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += next(self._takes)


def done(watch: Watch, seconds: float | None, *, most: int = 100, rehearsed: bool = False) -> list[int]:
    found = []
    for step in timed_steps(range(7, 7 + most), seconds, watch.work if rehearsed else None, clock=watch):
        watch.work()
        found.append(step)
    return found


def test_another_step_while_the_time_is_not_over() -> None:
    assert done(Watch(3.0, 3.0, 3.0, 9.0, 9.0), 10.0) == [7, 8, 9, 10]
    assert done(Watch(50.0, 50.0), 10.0) == [7]
    assert done(Watch(*[0.0] * 5), 10.0, most=5) == [7, 8, 9, 10, 11]
    assert done(Watch(*[1e6] * 5), None, most=5) == [7, 8, 9, 10, 11]
    assert done(Watch(), 10.0, most=0) == []


def test_with_a_rehearsal_the_steps_themselves_are_not_looked_at() -> None:
    quick, slow = ([2.0, *[takes] * 50] for takes in (0.001, 1000.0))
    # 2 of 10 seconds are gone
    assert done(Watch(*quick), 10.0, rehearsed=True) == done(Watch(*slow), 10.0, rehearsed=True) == [7, 8, 9, 10]
    assert done(Watch(20.0, 1.0), 10.0, rehearsed=True) == [7]


@example(seconds=-1.0, step_s=5e-324, most=1)
@given(seconds=st.floats(-1.0, 1e9), step_s=st.floats(0.0, 1e9), most=st.integers(1, 1000))
def test_one_step_at_least_and_no_more_than_planned(seconds: float, step_s: float, most: int) -> None:
    steps = steps_in(seconds, step_s, most=most)
    assert 1 <= steps <= most
    if 1 < steps < most:
        assert steps * step_s <= seconds * (1 + 1e-9) < (steps + 1) * step_s * (1 + 1e-6)


def test_rates_fall_by_phases_however_many_steps_they_have() -> None:
    training = TrainingConfig(phases=4, local_steps=10, local_seconds=1.0, schedule="linear", learning_rate=1.0)
    # the third phase after 3 and 5 steps
    rates = [learning_rate(training, training.rate_index(step, phase=2, first=8)) for step in (8, 9)]
    assert rates == [0.5, 0.475]
    whole = training.model_copy(update={"local_seconds": None})
    assert whole.rate_index(9, phase=2, first=8) == 9


def test_a_time_without_a_bound_on_steps_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="say with it how many steps a phase does at most: local_steps"):
        TrainingConfig(local_seconds=3.0)


def bench_for(folder: Path, privacy: dict[str, Any] | None = None, **training: Any) -> Bench:
    experiment = vector_experiment(privacy=privacy or {}, training={"batch_size": 40, "local_steps": 30, **training})
    (site,) = sites(folder, "a")
    records = load_fleet_records(experiment, [site])
    terms = RunTerms("r", ledger="ledger.sqlite", streams="seeded")
    return learner_for(load_resident(experiment, site, records.test), site, terms, records.nodes["a"])


def test_on_a_device_that_works_behind_ones_back_no_rehearsal_is_timed_under_privacy(tmp_path: Path) -> None:
    bench = bench_for(tmp_path, NOISE, local_seconds=2.0)
    parts, elsewhere = bench.learner._parts, bench.data.train.to(torch.device("cuda"))
    mechanism = SimpleNamespace(plan=bench.plan)
    with pytest.raises(PrivacyError, match="which on cuda it could not tell apart from private work"):
        rehearsal(parts.adapted.experiment, mechanism, elsewhere)  # type: ignore[arg-type]
    bench.close()


def timed(bench: Bench, watch: Watch, seconds: float) -> int:
    """Steps of a phase in which each forward pass takes as long as the watch says."""
    module = bench.adapted.module
    # the first time some sources look at the model
    bench.learner.train(bench.adapted.initial, first_step=0, steps=1, seconds=1e-9)
    hook = module.register_forward_pre_hook(lambda *_: watch.work())
    learner = bench.learner
    clocked = Learner(type(learner._parts)(**{**_fields(learner._parts), "clock": watch}))
    try:
        return clocked.train(bench.adapted.initial, first_step=0, steps=30, seconds=seconds).steps
    finally:
        hook.remove()
        bench.close()


def _fields(parts: Any) -> dict[str, Any]:
    return {name: getattr(parts, name) for name in parts.__slots__}


def test_a_learner_does_what_fits(tmp_path: Path) -> None:
    assert timed(bench_for(tmp_path, micro_batch=64), Watch(*[1.0] * 90), 5.0) == 5


@pytest.mark.parametrize("privacy", [NOISE, UPDATE], ids=["example", "update"])
def test_under_privacy_what_was_drawn_does_not_decide(tmp_path: Path, privacy: dict[str, Any]) -> None:
    # the rehearsal has one micro-batch, and so one forward pass, of 2 s; whatever comes then
    quick = timed(bench_for(tmp_path / "q", privacy, micro_batch=64), Watch(2.0, *[0.01] * 90), 12.0)
    slow = timed(bench_for(tmp_path / "s", privacy, micro_batch=64), Watch(2.0, *[99.0] * 90), 12.0)
    assert quick == slow == 5


def test_a_rehearsal_changes_nothing(tmp_path: Path) -> None:
    plain, rehearsed = bench_for(tmp_path / "a", NOISE), bench_for(tmp_path / "b", NOISE)
    first = plain.learner.train(plain.adapted.initial, first_step=0, steps=3)
    second = rehearsed.learner.train(rehearsed.adapted.initial, first_step=0, steps=3, seconds=1e9)
    assert np.array_equal(first.state.vector, second.state.vector)
    assert first.receipt.epsilon == second.receipt.epsilon
    assert rehearsed.account.receipt().steps == 3


def test_made_up_rows_are_as_long_as_they_may_be_and_tell_nothing(tmp_path: Path) -> None:
    bench = bench_for(tmp_path)
    rows = made_up(bench.data.train, 5, length=12)
    assert rows.tensors["features"].shape == (5, 64)
    assert rows.tensors["labels"].shape == (5,)
    assert all(not tensor.any() for tensor in rows.tensors.values())
    assert isinstance(bench.adapted.module, nn.Module)
    assert torch.equal(rows.unit, torch.arange(5))
