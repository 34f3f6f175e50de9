"""An adapter per period, of which one vector is kept: the mean of all is what the node shares, whatever happens."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.learning.vectors import vector_experiment

from gossipfl.config.experiment import Experiment
from gossipfl.config.training import TrainingConfig
from gossipfl.errors import ConfigError, StateError
from gossipfl.learning.continual import Periods, sampling_of
from gossipfl.learning.continual.merged import Merged
from gossipfl.learning.continual.offset import Offset
from gossipfl.learning.data import NodeRecords, sort_out
from gossipfl.learning.data.record import Record
from gossipfl.learning.footprint import MERGED, STATES, states_of
from gossipfl.learning.optimizer import optimizer_part
from gossipfl.state import AdapterSpec, AdapterState, Segment

SPEC = AdapterSpec((Segment("layer", (3, 2)), Segment("own", (2,), shared=False)))
HAPPENS = st.lists(st.sampled_from(["phase", "mix", "period", "restart"]), max_size=40)


def state_of(values: np.ndarray) -> AdapterState:
    return AdapterState(SPEC, values.astype(np.float32))


class Explicit:
    """All K adapters, each by itself, in float64."""

    def __init__(self, start: np.ndarray) -> None:
        self.adapters = [start.astype(np.float64)]

    @property
    def mean(self) -> np.ndarray:
        mean: np.ndarray = np.mean(self.adapters, axis=0)
        return mean

    def move_to(self, mixed: np.ndarray) -> None:
        moved = mixed - self.mean
        self.adapters = [adapter + moved for adapter in self.adapters]


def phase(offset: Offset, shared: AdapterState, adapters: int, change: np.ndarray) -> AdapterState:
    began = offset.begin(shared, adapters)
    return offset.end(shared, began, state_of(began.vector + change), adapters)


@settings(deadline=None)
@given(HAPPENS, st.integers(0, 2**32 - 1))
def test_the_mean_of_all_adapters_is_what_is_shared_and_the_newest_is_where_training_begins(
    happens: list[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shared = state_of(rng.normal(size=SPEC.size))
    explicit, offset = Explicit(shared.vector), Offset()
    for what in happens:
        change = rng.normal(size=SPEC.size)
        match what:
            case "phase":
                shared = phase(offset, shared, len(explicit.adapters), change)
                explicit.adapters[-1] = explicit.adapters[-1] + change
            case "mix":
                shared = state_of(shared.vector + change)
                explicit.move_to(shared.vector.astype(np.float64))
            case "period":
                explicit.adapters.append(explicit.mean)
            case "restart":
                kept, offset = offset.durable(), Offset()
                offset.restore(kept, SPEC.size)
        np.testing.assert_allclose(shared.vector, explicit.mean, atol=1e-4)
        began = offset.begin(shared, len(explicit.adapters))
        np.testing.assert_allclose(began.vector, explicit.adapters[-1], atol=1e-4)


@given(st.lists(st.sampled_from(["phase", "mix", "restart"]), max_size=10), st.integers(0, 2**32 - 1))
def test_of_one_adapter_every_state_is_the_trained_one_itself_and_nothing_is_kept(
    happens: list[str], seed: int
) -> None:
    rng, offset = np.random.default_rng(seed), Offset()
    shared = state_of(rng.normal(size=SPEC.size))
    for what in happens:
        after = state_of(rng.normal(size=SPEC.size))
        assert offset.begin(shared, 1) is shared
        assert what != "phase" or offset.end(shared, shared, after, 1) is after
        assert offset.durable() == {}
        shared = after


def test_a_phase_that_changes_nothing_moves_neither_the_mean_nor_the_newest() -> None:
    offset, shared = Offset(), state_of(np.full(SPEC.size, 0.3))
    shared = phase(offset, shared, 3, np.arange(SPEC.size))
    kept = offset.durable()
    assert phase(offset, shared, 3, np.zeros(SPEC.size)) == shared
    assert all(np.array_equal(offset.durable()[name], value) for name, value in kept.items())


def test_what_is_kept_of_another_number_of_periods_is_not_the_newest_of_these() -> None:
    """Taken back to a checkpoint of before, or told to count anew: what has come since begins at the mean."""
    offset, shared = Offset(), state_of(np.ones(SPEC.size))
    shared = phase(offset, shared, 2, np.ones(SPEC.size))
    assert offset.begin(shared, 2) != shared
    for adapters in (1, 3):
        other = Offset()
        other.restore(offset.durable(), SPEC.size)
        assert other.begin(shared, adapters) is shared
    other.restore({}, SPEC.size)
    assert other.begin(shared, 2) is shared, "of a checkpoint from before there was any"


def test_what_is_kept_is_no_moment_and_fits_one_adapter_only() -> None:
    offset = Offset()
    phase(offset, state_of(np.zeros(SPEC.size)), 2, np.ones(SPEC.size))
    assert optimizer_part(offset.durable()) == {}
    assert all(value.dtype == np.float32 for value in offset.durable().values())
    with pytest.raises(StateError, match="8 values, 9 were expected"):
        Offset().restore(offset.durable(), SPEC.size + 1)


def records_of(*periods: int, came: int = 1) -> NodeRecords:
    return NodeRecords((), tuple([place] for place in range(len(periods))), (), 0, (), periods=periods, came=came)


@pytest.mark.parametrize(
    ("periods", "came"),
    [((), 1), ((0, 0), 1), ((0, 1, 1), 2), ((0, 2), 3), ((2, 2), 3), ((0, 1), 3), ((0, 0), 2)],
    ids=[
        "not told",
        "one",
        "two",
        "one is gone",
        "all but the newest are gone",
        "the newest is gone",
        "nobody new came",
    ],
)
def test_adapters_are_counted_by_periods_and_not_by_records(periods: tuple[int, ...], came: int) -> None:
    """Nothing that is shared is weighted by how many records there are."""
    found = {}
    for continual in ("merged", "newest"):
        experiment = vector_experiment(training={"continual": continual})
        found[continual] = sampling_of(experiment, records_of(*periods, came=came))
    assert (found["merged"].adapters, found["newest"].adapters) == (came, 1)
    assert np.array_equal(found["merged"].shares, found["newest"].shares)  # type: ignore[arg-type]  # None equals None


def test_a_period_counts_though_nothing_of_it_is_left_or_nobody_new_came_with_it() -> None:
    experiment = vector_experiment(data={"held_out": 0.0})
    first, second = ([Record(text=f"{place} {row}") for row in range(2)] for place in range(2))
    for later in (([], second), (second, []), ([], []), (first, second)):
        assert sort_out(experiment, "a", [first, *later]).came == 3


class Older:
    """A way of a user's own, written before adapters were merged."""

    proximal_mu = 0.0

    def shares(self, periods: Periods) -> NDArray[np.float64]:
        return np.ones(len(periods))


class Own(Merged):
    """One that merges."""


def test_a_way_of_ones_own_may_leave_merging_out_and_is_refused_where_it_makes_no_sense() -> None:
    records = records_of(0, 1, came=2)
    older = vector_experiment(training={"continual": "tests.learning.test_merged:older"})
    assert sampling_of(older, records).adapters == 1
    for merge, fits in (("factors", True), ("svd", False)):
        own = _lora(merge, training={"continual": "tests.learning.test_merged:own"})
        if fits:
            assert sampling_of(own, records).adapters == 2
        else:
            with pytest.raises(ConfigError, match=r"own: adapter.merge factors was expected, not svd"):
                sampling_of(own, records)


def older(_: TrainingConfig) -> Older:
    return Older()


def own(_: TrainingConfig) -> Own:
    return Own()


FOLDER: dict[str, Any] = {"source": None, "watch": True}
WATCHED: dict[str, Any] = {"data": FOLDER, "training": {"continual": "merged"}}


@pytest.mark.parametrize("merge", ["svd", "exact", "stack"])
def test_factors_that_mixing_makes_anew_are_refused(merge: str) -> None:
    with pytest.raises(ValueError, match=r"merged: adapter.merge factors was expected"):
        _lora(merge, **WATCHED)
    _lora("factors", **WATCHED)
    assert _lora(merge, training={"continual": "merged"}).adapter.merge == merge, "nothing comes: one adapter"


def test_the_memory_that_is_told_beforehand_has_the_newest_adapter_in_it() -> None:
    merged: Experiment = vector_experiment(**WATCHED)
    assert states_of(merged) - states_of(vector_experiment(data=FOLDER)) == MERGED
    assert states_of(vector_experiment(training={"continual": "merged"})) == STATES, "nothing comes"


def _lora(merge: str, **sections: dict[str, Any]) -> Experiment:
    content = {
        "model": {"source": "somewhere"},
        "task": {"kind": "causal-lm"},
        "adapter": {"kind": "lora", "merge": merge},
        "privacy": {"level": "none"},
    }
    return Experiment.model_validate({**content, **sections})
