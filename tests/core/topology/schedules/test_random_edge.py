"""One random edge a round."""

from collections import Counter

import networkx as nx
import numpy as np
import pytest

from gossipfl.config.graph_types import Graph
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.protocol import Row
from gossipfl.core.topology import build_schedule
from gossipfl.core.topology.spectrum import algebraic_connectivity
from gossipfl.errors import TopologyError


def test_in_each_round_two_neighbors_average_and_all_others_rest() -> None:
    schedule = build_schedule(TopologyConfig(schedule="random_edge"), list("abcdef"))
    for round in range(100):
        rows = {node: schedule.row(node, round) for node in "abcdef"}
        u, v = (node for node, row in rows.items() if row.receivers)
        assert rows[u] == Row({u: 0.5, v: 0.5}, (v,))
        assert v in schedule.neighbors(u)
        assert all(rows[node] == Row({node: 1.0}, ()) for node in rows if node not in (u, v))


def test_all_edges_are_drawn_alike() -> None:
    schedule = build_schedule(TopologyConfig(schedule="random_edge", kind="star"), list("abcde"))
    drawn = Counter(schedule.row("a", round).receivers for round in range(4000))
    assert set(drawn) == {("b",), ("c",), ("d",), ("e",)}
    # five deviations of a binomial
    assert all(abs(count - 1000) < 140 for count in drawn.values())


def test_the_order_of_edges_in_a_file_changes_nothing() -> None:
    config = TopologyConfig(schedule="random_edge", kind="f.yaml")
    here = build_schedule(config, list("abc"), Graph([("a", "b"), ("b", "c")]))
    there = build_schedule(config, list("abc"), Graph([("c", "b"), ("b", "a")]))
    assert here == there
    assert here.digest() == there.digest()


def test_a_directed_graph_is_refused() -> None:
    with pytest.raises(TopologyError, match="random_edge needs an undirected graph, exponential is directed"):
        build_schedule(TopologyConfig(schedule="random_edge", kind="exponential"), list("abcd"))


@pytest.mark.parametrize("kind", ["ring", "star", "complete", "path", "barabasi_albert"])
@pytest.mark.parametrize("nodes", [3, 20])
def test_the_contraction_is_that_of_the_laplacian(kind: str, nodes: int) -> None:
    schedule = build_schedule(TopologyConfig(schedule="random_edge", kind=kind), [str(n) for n in range(nodes)])
    graph = nx.Graph([(node, peer) for node in schedule.nodes for peer in schedule.neighbors(node)])
    connectivity = sorted(nx.laplacian_spectrum(graph))[1]
    assert schedule.contraction == pytest.approx(1 - connectivity / (2 * graph.number_of_edges()), abs=1e-12)


def test_the_connectivity_of_a_large_graph_is_found_without_a_dense_matrix() -> None:
    edges = [(number, (number + 1) % 4001) for number in range(4001)]
    assert algebraic_connectivity(edges, 4001) == pytest.approx(2 - 2 * np.cos(2 * np.pi / 4001), rel=1e-6)
