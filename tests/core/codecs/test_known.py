"""How far a sender trusts that what it sent has arrived."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.core.codecs.known import Known


def shares(loss: float, messages: int, seed: int) -> tuple[float, float]:
    """Of all messages on a lossy line: those that stood by themselves, those that arrived and could be read."""
    rng, known = np.random.default_rng(seed), Known[int]()
    heard: int | None = None
    alone = read = 0
    for number in range(1, messages + 1):
        stands = not known.is_trusted() or known.mark != number - 1
        known.mark = number
        alone += stands
        if rng.random() < loss:
            continue
        if stands or heard == number - 1:
            heard = number
            read += 1
        else:
            known.refused()
    return alone / messages, read / messages


@given(seed=st.integers(0, 2**32))
def test_on_a_line_that_loses_nothing_only_the_first_stands_by_itself(seed: int) -> None:
    assert shares(0.0, 100, seed) == (0.01, 1.0)


def test_on_a_line_that_loses_much_nearly_all_that_arrives_can_be_read() -> None:
    alone, read = mean_shares(0.3)
    assert alone > 0.9
    assert read > 0.66


def test_on_a_line_that_loses_little_most_build_on_each_other() -> None:
    alone, read = mean_shares(0.01)
    assert alone < 0.05
    assert read > 0.97


def mean_shares(loss: float) -> tuple[float, float]:
    alone, read = np.mean([shares(loss, 3000, seed) for seed in range(20)], axis=0)
    return float(alone), float(read)


def test_a_line_that_was_lost_is_not_held_against_the_next() -> None:
    known = Known[int]()
    known.mark = 1
    known.forget()
    assert known.is_trusted()
    assert known.mark is None
