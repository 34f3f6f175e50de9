"""How units of several periods share a batch, and what counts as forgotten."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.training import TrainingConfig
from gossipfl.learning.continual import CONTINUALS
from gossipfl.learning.forgetting import Memory
from gossipfl.privacy.mechanisms.epochs import epochs_of
from gossipfl.privacy.streams import SeededStream

PERIODS = st.lists(st.integers(1, 40), min_size=2, max_size=4).map(
    lambda sizes: np.repeat(np.arange(len(sizes)), sizes)
)


@given(PERIODS, st.sampled_from(sorted(CONTINUALS)), st.sampled_from([0.25, 0.5, 0.9]))
def test_shares_lie_between_0_and_1_and_only_when_units_came_decides(
    periods: np.ndarray, name: str, share: float
) -> None:
    fields = {"continual": name, **({"replay_share": share} if name == "replay" else {})}
    training = TrainingConfig.model_validate(fields)
    shares = CONTINUALS[name](training).shares(periods)
    assert shares.max() == 1
    assert shares.min() >= 0
    for period in set(periods.tolist()):
        assert len(set(shares[periods == period].tolist())) == 1
    old = shares[periods < periods.max()].sum() / shares.sum()
    assert old == pytest.approx(
        {"replay": share, "newest": 0, "proximal": 0, "merged": 0}.get(name, (periods < periods.max()).mean())
    )


@given(PERIODS, st.integers(2, 30), st.sampled_from([0.25, 0.5]))
def test_an_epoch_of_each_kind_takes_every_unit_once_and_batches_have_their_size(
    periods: np.ndarray, batch_size: int, share: float
) -> None:
    shares = CONTINUALS["replay"](TrainingConfig(continual="replay", replay_share=share)).shares(periods)
    kinds = epochs_of(len(periods), batch_size, shares)
    stream = SeededStream(0, "a", "batches")
    for kind in kinds:
        seen = np.concatenate([kind.batch(step, stream) for step in range(kind._count)])
        assert len(seen) == len(set(seen.tolist()))
    everybody = {unit for kind in kinds for step in range(kind._count) for unit in kind.batch(step, stream).tolist()}
    assert everybody == set(range(len(periods)))
    largest = max(sum(len(kind.batch(step, stream)) for kind in kinds) for step in range(20))
    assert largest <= max(batch_size, len(kinds))


def test_without_shares_batches_are_what_they_always_were() -> None:
    stream = SeededStream(0, "a", "batches")
    (alike,) = epochs_of(50, 8, None)
    (ones,) = epochs_of(50, 8, np.ones(50))
    for step in range(20):
        assert np.array_equal(alike.batch(step, stream), ones.batch(step, stream))


@given(st.lists(st.lists(st.floats(0, 1) | st.none(), min_size=1, max_size=4), min_size=1, max_size=6))
def test_forgetting_is_the_best_of_before_minus_now(history: list[list[float | None]]) -> None:
    history.sort(key=len)
    memory = Memory()
    for place, scores in enumerate(history):
        found = memory.forgotten(scores)
        assert len(found) == len(scores) - 1, "the newest is not forgotten"
        for period, forgotten in enumerate(found):
            earlier = [row[period] for row in history[:place] if period < len(row)]
            best = max((score for score in earlier if score is not None), default=None)
            now = scores[period]
            assert forgotten == (None if now is None or best is None else best - now)
        memory.note(scores)
