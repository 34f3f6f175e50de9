"""Figures of graphs against what networkx says."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.config.topology import TopologyConfig
from gossipfl.core.topology import Figures, build_graph, build_schedule, measure
from gossipfl.core.topology.figures import diameter


def figures_of(kind: str, nodes: int, **fields: object) -> Figures:
    config = TopologyConfig.model_validate({"kind": kind, **fields})
    names = [str(number) for number in range(nodes)]
    return measure(build_graph(config, names), build_schedule(config, names))


def test_a_ring_of_eight_in_figures() -> None:
    figures = figures_of("ring", 8)
    assert (figures.nodes, figures.edges, figures.diameter, figures.directed) == (8, 8, 4, False)
    assert (figures.degree_min, figures.degree_mean, figures.degree_max) == (2, 2.0, 2)
    assert figures.lam == pytest.approx(0.8047, abs=1e-4)
    assert figures.spectral_gap == pytest.approx(0.1953, abs=1e-4)
    assert figures.steps == 32
    assert figures.doubly_stochastic


def test_degrees_of_a_directed_graph_are_those_heard() -> None:
    figures = figures_of("exponential", 8)
    assert (figures.edges, figures.directed, figures.degree_max) == (24, True, 3)


def test_weights_that_lambda_does_not_bound_have_no_steps() -> None:
    figures = figures_of("star", 8, weights="uniform")
    assert figures.lam > 1
    assert figures.steps is None
    assert not figures.doubly_stochastic


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(["ring", "path", "erdos_renyi", "barabasi_albert", "exponential"]),
    nodes=st.integers(3, 40),
    seed=st.integers(0, 1000),
)
def test_the_diameter_is_the_longest_shortest_path(kind: str, nodes: int, seed: int) -> None:
    graph = build_graph(TopologyConfig(kind=kind, seed=seed), [str(number) for number in range(nodes)])
    assert diameter(graph) == nx.diameter(graph)


def test_a_diameter_over_many_chunks_is_found() -> None:
    graph = build_graph(TopologyConfig(kind="path"), [str(number) for number in range(700)])
    assert diameter(graph) == 699
