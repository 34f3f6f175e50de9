"""Cores of several ranks share their leading blocks."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.factors import resized
from gossipfl.core.mixing.blocks import LeadingBlocks, block_distance, check_connected, cores_rank, mean_of_blocks
from gossipfl.core.mixing.weighted import Weighted
from gossipfl.core.topology import build_schedule
from gossipfl.errors import TopologyError
from gossipfl.state import AdapterSpec, AdapterState, Segment

SEEDS = st.integers(0, 2**20)
RANKS = st.lists(st.integers(1, 6), min_size=2, max_size=5)


def scale(rank: int) -> float:
    return 12.0 / rank


def layout(rank: int) -> AdapterSpec:
    return AdapterSpec((Segment("x.core_R", (rank, rank)), Segment("y.core_R", (rank, rank)), Segment("head", (4,))))


def drawn(rank: int, seed: int) -> AdapterState:
    spec = layout(rank)
    return AdapterState(spec, np.random.default_rng(seed).standard_normal(spec.size).astype(np.float32))


def scaled(state: AdapterState, size: int = 6) -> NDArray[np.float64]:
    """s·R at its place in one of rank `size`, NaN where it has nothing."""
    rank = cores_rank(state)
    whole = np.full((size, size), np.nan)
    whole[:rank, :rank] = scale(rank) * state.segment("x.core_R").astype(np.float64)
    return whole


@given(ranks=RANKS, seed=SEEDS)
@settings(deadline=None)
def test_each_entry_is_averaged_over_those_that_have_it(ranks: list[int], seed: int) -> None:
    states = [drawn(rank, seed + place) for place, rank in enumerate(ranks)]
    weight = 1 / len(states)
    terms = {str(place): (weight, state) for place, state in enumerate(states[1:])}
    mixed = LeadingBlocks(scale).mix(states[0], weight, terms)
    assert mixed.spec == states[0].spec
    before = np.stack([scaled(state) for state in states])
    # of a node that has no such entry the weight falls to the own one
    wished = np.where(np.isnan(before), before[0], before).mean(axis=0)
    np.testing.assert_allclose(scaled(mixed), wished, atol=1e-5 * np.nanmax(np.abs(before)))
    heads = np.mean([state.segment("head") for state in states], axis=0)
    np.testing.assert_allclose(mixed.segment("head"), heads, atol=1e-6)


@given(rank=st.integers(1, 5), seed=SEEDS)
@settings(deadline=None)
def test_of_one_rank_it_is_the_plain_mean(rank: int, seed: int) -> None:
    own, other = drawn(rank, seed), drawn(rank, seed + 1)
    plain = Weighted[AdapterState]().mix(own, 0.7, {"b": (0.3, other)})
    np.testing.assert_allclose(LeadingBlocks(scale).mix(own, 0.7, {"b": (0.3, other)}).vector, plain.vector, atol=1e-6)


@given(ranks=RANKS, seed=SEEDS)
@settings(deadline=None)
@pytest.mark.slow
def test_rounds_on_a_complete_graph_agree_on_the_mean_of_those_that_have_it(ranks: list[int], seed: int) -> None:
    states: Sequence[AdapterState] = [drawn(rank, seed + place) for place, rank in enumerate(ranks)]
    size = max(ranks)
    wished = np.nanmean(np.stack([scaled(state, size) for state in states]), axis=0)
    weight, blocks = 1 / len(states), LeadingBlocks(scale)
    for _ in range(80):
        named = {str(place): (weight, state) for place, state in enumerate(states)}
        states = [
            blocks.mix(own, weight, {name: term for name, term in named.items() if name != str(place)})
            for place, own in enumerate(states)
        ]
    for state in states:
        found = scaled(state, size)
        has = ~np.isnan(found)
        np.testing.assert_allclose(found[has], wished[has], atol=1e-4 * np.nanmax(np.abs(wished)))
        assert block_distance(state, max(states, key=cores_rank), scale) < 1e-3


def test_resizing_a_layout_changes_ranks_and_nothing_else() -> None:
    whole = AdapterSpec((*layout(3).segments, Segment("z.lora_A", (3, 7)), Segment("z.lora_B", (5, 3))))
    found = {segment.name: segment.shape for segment in resized(whole, 2).segments}
    assert found == {"x.core_R": (2, 2), "y.core_R": (2, 2), "head": (4,), "z.lora_A": (2, 7), "z.lora_B": (5, 2)}
    assert resized(resized(whole, 2), 3) == whole


def test_nodes_of_a_rank_have_to_reach_each_other_without_the_others() -> None:
    names = ("a", "b", "c", "d")
    ring = build_schedule(TopologyConfig(kind="ring"), names, None)
    check_connected(ring, {"a": 4, "b": 4, "c": 2, "d": 2})
    with pytest.raises(TopologyError, match=r"the nodes of rank 4 or more \(a, c\) are not connected"):
        check_connected(ring, {"a": 4, "b": 2, "c": 4, "d": 2})


@given(ranks=RANKS, seed=SEEDS)
@settings(deadline=None)
def test_the_mean_of_all_is_entry_by_entry_over_those_that_have_it(ranks: list[int], seed: int) -> None:
    states = [drawn(rank, seed + place) for place, rank in enumerate(ranks)]
    size = max(ranks)
    wished = np.nanmean(np.stack([scaled(state, size) for state in states]), axis=0)
    for order in (states, states[::-1]):
        mean = mean_of_blocks(order, scale)
        np.testing.assert_allclose(scaled(mean, size), wished, atol=1e-6 * np.nanmax(np.abs(wished)) + 1e-6)
        heads = np.mean([state.segment("head") for state in states], axis=0)
        np.testing.assert_allclose(mean.segment("head"), heads, atol=1e-6)
