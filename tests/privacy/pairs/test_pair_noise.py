"""Noise that two ends of an edge share: it cancels, nobody else knows it, and none of it is used twice."""

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from gossipfl.errors import StateError
from gossipfl.privacy.pairs.keys import PUBLIC_BYTES, PairSeeds
from gossipfl.privacy.pairs.noise import AgreedNoise, PairNoise, SeededNoise
from gossipfl.privacy.pairs.turns import FileTurns, MemoryTurns, following
from gossipfl.privacy.streams import CHUNK

NAMES = ("ada", "bob", "cid", "dan")
RING = {NAMES[k]: (NAMES[(k + 1) % 4], NAMES[k - 1]) for k in range(4)}


def agreed(*, met: bool = True) -> dict[str, AgreedNoise]:
    """The noise of four nodes on a ring, who have greeted each other."""
    seeds = {name: PairSeeds(name, others) for name, others in RING.items()}
    if met:
        for name, others in RING.items():
            assert all(seeds[name].agree(other, seeds[other].public) for other in others)
    return {
        name: AgreedNoise(name, others, seeds[name], MemoryTurns(), patience_s=0.0) for name, others in RING.items()
    }


def seeded() -> dict[str, SeededNoise]:
    return {name: SeededNoise(7, name, others) for name, others in RING.items()}


Make = Callable[[], Mapping[str, PairNoise]]
kinds = pytest.mark.parametrize("make", [agreed, seeded], ids=["agreed", "seeded"])


def totals(nodes: Mapping[str, PairNoise], phase: int, size: int) -> NDArray[np.float64]:
    return np.array([node.total(phase, size) for node in nodes.values()])


@kinds
@pytest.mark.parametrize("size", [1, 7, CHUNK + 3])
def test_it_cancels_in_the_networks_sum(make: Make, size: int) -> None:
    found = totals(make(), 3, size)
    assert np.abs(found.sum(0)).max() < 1e-13
    assert (np.abs(found) > 1e-6).any(1).all()


@kinds
def test_each_nodes_noise_is_normal_with_a_share_for_each_edge(make: Make) -> None:
    found = totals(make(), 0, 40_001)
    for row in found / np.sqrt(2):
        assert stats.kstest(row, "norm").pvalue > 1e-6
        assert 5e-7 < stats.chi2.cdf(float(np.square(row).sum()), len(row)) < 1 - 5e-7


@kinds
def test_neighbors_are_correlated_as_the_laplacian_says(make: Make) -> None:
    found = totals(make(), 0, 40_000)
    expected = nx.laplacian_matrix(nx.cycle_graph(4)).toarray()
    np.testing.assert_allclose(np.cov(found), expected, atol=0.06)


@kinds
def test_every_phase_and_every_turn_has_noise_of_its_own(make: Make) -> None:
    nodes = make()
    found = [nodes["ada"].total(phase, 4000) for phase in (0, 1, 1, 0, 2)]
    for one, other in itertools.combinations(found, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@kinds
def test_a_phase_done_again_leaves_noise_behind_and_the_next_one_cancels_again(make: Make) -> None:
    nodes = make()
    totals(nodes, 0, 10)
    nodes["ada"].total(1, 10)
    found = totals(nodes, 1, 20_000)
    # both of ada's edges have lost their other end: 2 at ada and 1 at each neighbor
    assert found.sum(0).var() == pytest.approx(4, rel=0.1)
    assert np.abs(totals(nodes, 2, 10).sum(0)).max() < 1e-13


def test_an_edge_that_was_never_agreed_on_gets_noise_all_the_same() -> None:
    found = totals(agreed(met=False), 0, 20_000)
    np.testing.assert_allclose(np.cov(found), 2 * np.eye(4), atol=0.1)


# ---- seeds ----


def test_only_the_two_ends_know_a_seed_and_every_edge_has_its_own() -> None:
    one, other, third = (PairSeeds(name, [peer for peer in "abc" if peer != name]) for name in "abc")
    for node, peers in ((one, (("b", other), ("c", third))), (other, (("a", one),)), (third, (("a", one),))):
        for name, peer in peers:
            node.agree(name, peer.public)
    assert one.of("b") == other.of("a")
    assert one.of("c") == third.of("a")
    assert one.of("b") != one.of("c")
    assert other.of("c") is None


def test_a_later_life_of_a_neighbor_has_another_seed() -> None:
    stays, first, second = PairSeeds("a", ["b"]), PairSeeds("b", ["a"]), PairSeeds("b", ["a"])
    stays.agree("b", first.public)
    before = stays.of("b")
    stays.agree("b", second.public)
    second.agree("a", stays.public)
    assert stays.of("b") == second.of("a") != before


def test_the_names_are_bound_into_the_seed() -> None:
    """Who hands on another's key as its own shares no seed with anybody."""
    victim, relayed, between = PairSeeds("a", ["b", "x"]), PairSeeds("b", ["a"]), PairSeeds("x", ["a"])
    victim.agree("x", relayed.public)
    relayed.agree("a", victim.public)
    assert victim.of("x") != relayed.of("a")
    assert between.of("a") is None


@pytest.mark.parametrize("public", [b"", b"short", bytes(PUBLIC_BYTES), b"\1" + bytes(31), bytes(33)])
def test_a_key_that_leads_to_no_secret_changes_nothing(public: bytes) -> None:
    seeds = PairSeeds("a", ["b"])
    assert not seeds.agree("b", public)
    assert seeds.of("b") is None


def test_nobody_but_a_neighbor_is_agreed_with() -> None:
    seeds = PairSeeds("a", ["b"])
    assert not seeds.agree("c", PairSeeds("c", ["a"]).public)
    assert seeds.of("c") is None


# ---- turns ----


@given(st.lists(st.integers(0, 6), max_size=40))
def test_no_number_is_ever_given_twice(phases: list[int]) -> None:
    turns = MemoryTurns()
    given_out = [(phase, turns.take(phase)) for phase in phases]
    assert len(set(given_out)) == len(given_out)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_phases_in_their_order_have_turn_zero(gaps: list[int]) -> None:
    turns = MemoryTurns()
    phase = 0
    for gap in gaps:
        assert turns.take(phase) == 0
        phase += 1 + gap


def test_a_turn_is_on_the_disk_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "pair_noise.json"
    first = FileTurns(path)
    assert [first.take(0), first.take(1)] == [0, 0]
    # killed, and the phase is done again
    assert FileTurns(path).take(1) == 1
    assert FileTurns(path).take(0) == 2
    assert FileTurns(path).take(2) == 0


def test_no_noise_is_made_where_the_turn_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        path = tmp_path / "gone" / "pair_noise.json"
    else:
        path = tmp_path / "pair_noise.json"
        tmp_path.chmod(0o500)
    with pytest.raises(StateError, match="cannot be written"):
        AgreedNoise("a", ["b"], PairSeeds("a", ["b"]), FileTurns(path), patience_s=0).total(0, 3)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"phase": "x", "again": 0}'])
def test_a_file_that_does_not_say_which_noise_was_used_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "pair_noise.json"
    path.write_text(content)
    with pytest.raises(StateError, match="pair noise"):
        FileTurns(path)


def test_the_rule_of_turns() -> None:
    assert following((-1, 0), 0) == ((0, 0), 0)
    assert following((4, 2), 5) == ((5, 2), 0)
    assert following((4, 2), 4) == ((4, 3), 3)
    assert following((4, 2), 1) == ((4, 3), 3)
