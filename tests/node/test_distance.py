"""How far published states are from each other, round by round."""

import math

import numpy as np
import pytest

from gossipfl.core.messages import Header
from gossipfl.node.distance import Distances
from gossipfl.state import AdapterSpec, AdapterState, Segment


def state(value: float, size: int = 4) -> AdapterState:
    spec = AdapterSpec((Segment("head.weight", (size, 1)),))
    return AdapterState(spec, np.full(size, value, np.float32))


def header(round: int) -> Header:
    return Header(round, step=0)


def test_states_of_equal_rounds_are_compared_whoever_is_first() -> None:
    distances = Distances()
    distances.published(state(0), header(0))
    distances.heard("bob", state(1), header(0))
    distances.heard("cid", state(9), header(1))
    assert distances.by_neighbor == {"bob": pytest.approx(2.0)}
    distances.published(state(8), header(1))
    # cid was ahead and is compared now; bob has said nothing new
    assert distances.by_neighbor == {"bob": pytest.approx(2.0), "cid": pytest.approx(2.0)}
    assert distances.typical == pytest.approx(2.0)
    # nothing new was heard: what was compared once is not compared with a later round
    distances.published(state(0), header(2))
    assert distances.typical == pytest.approx(2.0)


def test_before_anything_was_published_there_is_no_distance() -> None:
    distances = Distances()
    distances.heard("bob", state(1), header(0))
    assert distances.typical is None


def test_a_large_state_is_measured_in_full() -> None:
    rng = np.random.default_rng(0)
    spec = AdapterSpec((Segment("head.weight", (150_001, 1)),))
    one, other = (AdapterState(spec, rng.standard_normal(150_001).astype(np.float32)) for _ in range(2))
    distances = Distances()
    distances.published(one, header(0))
    distances.heard("bob", other, header(0))
    assert distances.typical == pytest.approx(math.dist(one.vector, other.vector), rel=1e-4)


def test_states_of_other_sizes_have_no_distance() -> None:
    distances = Distances()
    distances.published(state(0), header(0))
    distances.heard("bob", state(0, size=8), header(0))
    assert distances.typical is None
