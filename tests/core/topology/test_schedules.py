"""What holds for every schedule in the table."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.graph_types import Given, Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Schedule
from gossipfl.core.topology import SCHEDULES, agreement, build_schedule, is_doubly_stochastic, mixing_matrix
from gossipfl.core.topology.schedules.base import BaseSchedule
from gossipfl.errors import ConfigError, TopologyError

OWN_LINKS = ["one_peer_exponential", "base", "random_matching", "random_regular", "epidemic"]
DRAWN = ["random_edge", "random_matching", "random_regular", "epidemic"]
TIME_VARYING = [*OWN_LINKS, "random_edge", "graphs"]


def named(nodes: int) -> list[str]:
    # sorted by name they stand in another order than in peers.yaml
    return [f"n{(number * 7) % 1009}" for number in range(nodes)]


def given_for(schedule: str, names: Sequence[str]) -> Given:
    """A ring in two halves, neither of them connected, for a schedule that takes its graphs from a file."""
    ring = list(zip(names, [*names[1:], names[0]], strict=True))
    return (Graph(ring[::2]), Graph(ring[1::2])) if schedule == "graphs" else None


def on(names: Sequence[str], schedule: str, **fields: object) -> Schedule:
    config = TopologyConfig.model_validate({"schedule": schedule, "inexact": True, **fields})
    return build_schedule(config, names, given_for(schedule, names))


def scheduled(schedule: str, nodes: int, **fields: object) -> Schedule:
    return on(named(nodes), schedule, **fields)


def test_an_unknown_schedule_names_the_known() -> None:
    assert sorted(SCHEDULES) == sorted(["static", *TIME_VARYING])
    with pytest.raises(ConfigError, match=r"topology.schedule: 'statik' is unknown; did you mean 'static'\?"):
        scheduled("statik", 4)


@settings(max_examples=120, deadline=None)
@given(
    schedule=st.sampled_from(sorted(SCHEDULES)),
    nodes=st.integers(2, 40),
    round=st.integers(0, 10**6),
    seed=st.integers(0, 2**32),
)
def test_rows_sum_to_one_and_agree_on_who_sends_to_whom(schedule: str, nodes: int, round: int, seed: int) -> None:
    made = scheduled(schedule, nodes, seed=seed)
    rows = {node: made.row(node, round) for node in made.nodes}
    for node, row in rows.items():
        assert next(iter(row.weights)) == node
        assert math.fsum(row.weights.values()) == pytest.approx(1, abs=1e-15)
        assert min(row.weights.values()) > 0
        assert node not in row.receivers
        assert len(set(row.receivers)) == len(row.receivers)
        assert {*row.weights, *row.receivers} - {node} <= set(made.neighbors(node))
    heard = {(peer, node) for node, row in rows.items() for peer in row.weights if peer != node}
    assert heard == {(node, peer) for node, row in rows.items() for peer in row.receivers}


@pytest.mark.parametrize("schedule", ["static", "one_peer_exponential", "base", "graphs"])
@pytest.mark.parametrize("nodes", [2, 3, 9, 16, 23])
def test_neighbors_are_exactly_those_met_in_a_period_and_then_it_begins_anew(schedule: str, nodes: int) -> None:
    made = scheduled(schedule, nodes)
    assert made.period is not None
    assert made.contraction is None
    rounds = range(made.period)
    for node in made.nodes:
        rows = [made.row(node, round) for round in rounds]
        met = {peer for row in rows for peer in (*row.weights, *row.receivers)} - {node}
        assert made.neighbors(node) == tuple(sorted(met))
        assert rows == [made.row(node, round + 5 * made.period) for round in rounds]


@pytest.mark.parametrize("schedule", DRAWN)
def test_drawn_rounds_are_the_same_on_every_node_in_any_order_and_differ_with_the_seed(schedule: str) -> None:
    here, there, other = scheduled(schedule, 9), scheduled(schedule, 9), scheduled(schedule, 9, seed=1)
    forward = [here.row(node, round) for round in range(100) for node in here.nodes]
    backward = [there.row(node, round) for round in reversed(range(100)) for node in reversed(there.nodes)]
    assert forward == backward[::-1]
    assert forward != [other.row(node, round) for round in range(100) for node in other.nodes]
    assert here.period is None


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_a_digest_says_all_that_has_to_agree(schedule: str) -> None:
    made = scheduled(schedule, 12)
    assert made.digest() == scheduled(schedule, 12).digest()
    others = [scheduled(name, 12).digest() for name in SCHEDULES if name != schedule]
    renamed = on([*named(11), "other"], schedule)
    turned = on([*named(12)[1:], named(12)[0]], schedule)
    assert made.digest() not in [*others, renamed.digest(), turned.digest(), scheduled(schedule, 13).digest()]


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        ("base", {"degree": 2}),
        ("epidemic", {"degree": 2}),
        ("epidemic", {"seed": 1}),
        ("random_matching", {"seed": 1}),
        ("random_regular", {"seed": 1}),
        ("random_regular", {"degree": 5}),
        ("random_edge", {"seed": 1}),
        ("random_edge", {"kind": "star"}),
    ],
)
def test_settings_that_change_who_meets_change_the_digest(schedule: str, fields: dict[str, object]) -> None:
    assert scheduled(schedule, 12).digest() != scheduled(schedule, 12, **fields).digest()


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_another_version_has_another_digest(schedule: str) -> None:
    made: Any = scheduled(schedule, 12)
    assert replace(made, version=made.version + 1).digest() != made.digest()


def test_what_edges_weigh_in_any_round_is_in_the_digest() -> None:
    assert (
        scheduled("static", 5, kind="star").digest() != scheduled("static", 5, kind="star", weights="uniform").digest()
    )
    config = TopologyConfig(kind="f.json", schedule="graphs", weights="file")
    graphs = [Graph([("a", "b", {"weight": weight})]) for weight in (0.25, 0.5)]
    found = [build_schedule(config, list("ab"), (first, last)).digest() for first in graphs for last in graphs]
    assert len(set(found)) == 4


def test_who_meets_in_which_round_is_in_the_digest() -> None:
    made = scheduled("base", 12)
    assert isinstance(made, BaseSchedule)
    assert replace(made, rounds=made.rounds[::-1]).digest() != made.digest()
    config = TopologyConfig(kind="f.yaml", schedule="random_edge")
    rings = [Graph(zip(order, order[1:] + order[0], strict=True)) for order in ("abcd", "acbd")]
    assert len({build_schedule(config, list("abcd"), ring).digest() for ring in rings}) == 2


@pytest.mark.parametrize("schedule", DRAWN)
def test_seeds_that_begin_alike_have_digests_of_their_own(schedule: str) -> None:
    # of two nodes there is one pair only
    assert len({scheduled(schedule, 2, kind="path", seed=seed).digest() for seed in range(20)}) == 20


@pytest.mark.parametrize("schedule", DRAWN)
@pytest.mark.parametrize("later", [64, 100, 97, 256, 1000, 1024, 4096])
def test_drawn_rounds_do_not_come_again(schedule: str, later: int) -> None:
    made = scheduled(schedule, 9)
    rows = [
        [made.row(node, round) for round in range(first, first + 30) for node in made.nodes] for first in (0, later)
    ]
    assert rows[0] != rows[1]


@pytest.mark.parametrize("schedule", OWN_LINKS)
def test_a_schedule_with_links_of_its_own_ignores_a_generator_and_refuses_a_file(schedule: str) -> None:
    assert scheduled(schedule, 8).digest() == scheduled(schedule, 8, kind="star").digest()
    file: Graph = Graph([("a", "b")])
    with pytest.raises(TopologyError, match=f"{schedule} links the nodes by itself and would not keep to map.gml"):
        build_schedule(TopologyConfig(schedule=schedule, kind="map.gml"), ["a", "b"], file)


@pytest.mark.parametrize("schedule", sorted({*TIME_VARYING} - {"graphs"}))
def test_weights_that_would_not_count_are_refused(schedule: str) -> None:
    with pytest.raises(TopologyError, match=f"topology.weights: {schedule} has weights of its own"):
        scheduled(schedule, 4, weights="metropolis")


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_one_node_alone_does_not_gossip(schedule: str) -> None:
    with pytest.raises(TopologyError, match="at least 2 nodes, not 1"):
        scheduled(schedule, 1)


@pytest.mark.parametrize("schedule", sorted({*SCHEDULES} - {"epidemic"}))
@pytest.mark.parametrize("nodes", [2, 7, 16])
def test_every_schedule_but_epidemic_keeps_the_mean_in_every_round(schedule: str, nodes: int) -> None:
    made = scheduled(schedule, nodes)
    assert all(is_doubly_stochastic(mixing_matrix(made, round)) for round in range(20))


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
@pytest.mark.slow
def test_ten_thousand_nodes_are_no_matter(schedule: str) -> None:
    names = [f"n{number}" for number in range(10_000)]
    made = on(names, schedule)
    rows = [made.row(node, round) for round in (0, 10**6) for node in names]
    assert max(len(row.receivers) for row in rows) <= 14
    assert made.neighbors("n9999")
    assert len(made.digest()) == 64


@pytest.mark.parametrize("schedule", DRAWN)
@pytest.mark.parametrize("nodes", [5, 12])
@pytest.mark.slow
def test_the_expected_contraction_is_what_many_rounds_show(schedule: str, nodes: int) -> None:
    made = scheduled(schedule, nodes)
    x = np.random.default_rng(0).standard_normal(nodes)
    # the worst vector of a random edge; for the others all centered vectors are alike
    if schedule == "random_edge":
        x = np.cos(2 * np.pi * np.arange(nodes) / nodes)
    x = x - x.mean()
    shrunk = [float(np.sum((mixing_matrix(made, round) @ x) ** 2)) / float(x @ x) for round in range(4000)]
    error = float(np.std(shrunk)) / math.sqrt(len(shrunk))
    assert made.contraction == pytest.approx(np.mean(shrunk), abs=4 * error + 1e-12)
    assert agreement(made).lam ** 2 == pytest.approx(made.contraction)
    assert agreement(made).of == "expectation"
