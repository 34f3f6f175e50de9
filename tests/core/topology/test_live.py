"""Weights follow whoever is up, and stay doubly stochastic among them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config.membership import ANY_NUMBER
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import is_doubly_stochastic, mixing_matrix
from gossipfl.core.topology.live import live_schedule, rule_digest

kinds = pytest.mark.parametrize("kind", ANY_NUMBER)


@kinds
@given(up=st.sets(st.text("abcdef-09", min_size=1, max_size=4), min_size=1, max_size=24))
def test_whoever_is_up_the_weights_are_doubly_stochastic_among_them(kind: str, up: set[str]) -> None:
    schedule = live_schedule(TopologyConfig(kind=kind), up)
    assert schedule.nodes == tuple(sorted(up))
    matrix = np.array([[schedule.row(node, 0).weights.get(other, 0.0) for other in sorted(up)] for node in sorted(up)])
    assert np.allclose(matrix.sum(axis=0), 1)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert np.array_equal(matrix, matrix.T)
    assert (matrix >= 0).all()


@kinds
@pytest.mark.parametrize("count", range(2, 41))
def test_there_is_a_graph_for_any_number_of_nodes(kind: str, count: int) -> None:
    schedule = live_schedule(TopologyConfig(kind=kind), [f"n{place}" for place in range(count)])
    assert is_doubly_stochastic(mixing_matrix(schedule, 0))


@kinds
@given(up=st.permutations([f"n{place}" for place in range(9)]))
def test_in_whatever_order_they_came_all_have_the_same_graph(kind: str, up: list[str]) -> None:
    config = TopologyConfig(kind=kind)
    assert live_schedule(config, up).digest() == live_schedule(config, sorted(up)).digest()


def test_the_rule_is_another_for_another_kind_or_seed() -> None:
    configs = [TopologyConfig(), TopologyConfig(kind="star"), TopologyConfig(seed=1)]
    assert len({rule_digest(config) for config in configs}) == 3
