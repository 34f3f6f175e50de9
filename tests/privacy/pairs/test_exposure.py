"""What correlated noise is worth: the published constants, and that nothing which goes missing costs more."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossipfl.config.graph_types import NumberedGraph as Graph
from gossipfl.privacy.accounting import Charge, epsilon
from gossipfl.privacy.gaussian import gaussian_epsilon
from gossipfl.privacy.pairs.exposed import exposed
from gossipfl.privacy.pairs.exposure import NEAREST, Exposure, Links, exposure

N, OWN = 16, 0.25
GRAPHS = {
    "ring": nx.cycle_graph(N),
    "torus": nx.grid_2d_graph(4, 4, periodic=True),
    "complete": nx.complete_graph(N),
}


def links_of(graph: Graph) -> Links:
    return {str(node): [str(other) for other in graph.neighbors(node)] for node in graph}


def slope(noise_multiplier: float) -> float:
    """RDP(α)/α of a step whose unit is replaced: α · (2C)²/(2σ²), C = 1."""
    return 2 / noise_multiplier**2


def worst(graph: Graph, pair: float) -> Exposure:
    links = links_of(graph)
    found = [exposure(links, node, own=OWN, others=OWN, pair=pair) for node in links]
    return Exposure(*(min(getattr(each, name) for each in found) for name in ("outsider", "neighbor", "neighbors")))


def test_without_neighbors_the_slope_is_that_of_own_noise() -> None:
    found = exposure({"a": []}, "a", own=OWN, others=OWN, pair=1.0)
    assert found == Exposure(OWN, OWN, OWN)
    assert slope(found.outsider) == pytest.approx(32)


@pytest.mark.parametrize(
    ("kind", "pair", "known", "places"),
    [
        ("ring", 1.0, 4.12, 2),
        ("torus", 1.0, 2.53, 2),
        ("complete", 1.0, 2.12, 2),
        ("ring", 10.0, 2.026, 3),
        ("torus", 10.0, 2.005, 3),
        ("complete", 10.0, 2.001, 3),
    ],
)
def test_an_outsider_sees_what_is_published_of_the_method(kind: str, pair: float, known: float, places: int) -> None:
    assert round(slope(worst(GRAPHS[kind], pair).outsider), places) == known


def test_on_a_ring_one_neighbor_sees_more_and_both_see_all_but_own_noise() -> None:
    found = worst(GRAPHS["ring"], 1.0)
    assert slope(found.outsider) == pytest.approx(4.12, abs=0.005)
    assert slope(found.neighbor) == pytest.approx(7.07, abs=0.005)
    assert slope(found.neighbors) == pytest.approx(32)


graphs = st.builds(
    lambda n, p, seed: nx.gnp_random_graph(n, p, seed=seed), st.integers(2, 9), st.floats(0.2, 1.0), st.integers(0, 999)
)
noises = st.floats(0.05, 5.0)


@settings(deadline=None)
@given(graphs, noises, noises)
def test_the_stronger_the_adversary_the_less_noise_it_faces(graph: Graph, own: float, pair: float) -> None:
    links = links_of(graph)
    for node in links:
        found = exposure(links, node, own=own, others=own, pair=pair)
        assert found.outsider * (1 + 1e-9) >= found.neighbor >= found.neighbors * (1 - 1e-9)
        assert found.neighbors == own
        # never more than all the noise on the node's release
        assert found.outsider <= math.hypot(own, pair * math.sqrt(len(links[node]))) * (1 + 1e-9)


def covariance(graph: Graph, own: float, pair: float) -> NDArray[np.float64]:
    laplacian = nx.laplacian_matrix(graph).toarray().astype(float)
    result: NDArray[np.float64] = own**2 * np.eye(len(graph)) + pair**2 * laplacian
    return result


@settings(deadline=None)
@given(graphs, noises, noises, st.integers(0, 2**16))
def test_terms_that_lost_their_other_end_never_cost_more(graph: Graph, own: float, pair: float, lost: int) -> None:
    """A crash, another seed: the two ends of an edge are independent, and the off-diagonal entry is gone."""
    whole, links = covariance(graph, own, pair), links_of(graph)
    for place, (a, b) in enumerate(graph.edges()):
        if lost >> (place % 17) & 1:
            whole[a, b] = whole[b, a] = 0
    left = np.diag(np.linalg.inv(whole))
    for node in graph:
        planned = exposure(links, str(node), own=own, others=own, pair=pair).outsider
        assert 1 / math.sqrt(left[node]) >= planned * (1 - 1e-6)


@settings(deadline=None)
@given(graphs, noises, noises, st.integers(1, 2**9 - 1))
def test_messages_that_were_not_seen_never_cost_more(graph: Graph, own: float, pair: float, seen: int) -> None:
    whole, links = covariance(graph, own, pair), links_of(graph)
    kept = [node for node in graph if seen >> node & 1]
    left = np.diag(np.linalg.inv(whole[np.ix_(kept, kept)]))
    for node, value in zip(kept, left, strict=True):
        planned = exposure(links, str(node), own=own, others=own, pair=pair).outsider
        assert 1 / math.sqrt(value) >= planned * (1 - 1e-6)


def test_a_term_that_is_left_out_would_cost_more_which_is_why_none_ever_is() -> None:
    whole = worst(GRAPHS["ring"], 1.0)
    broken = nx.path_graph(N)
    end = exposure(links_of(broken), "0", own=OWN, others=OWN, pair=1.0)
    assert end.outsider < whole.outsider


def test_of_a_large_network_the_nearest_nodes_are_enough_and_overstate_the_cost() -> None:
    large, small = nx.cycle_graph(3 * NEAREST), nx.cycle_graph(NEAREST // 2)
    far, near = (exposure(links_of(graph), "0", own=OWN, others=OWN, pair=1.0).outsider for graph in (large, small))
    assert near == pytest.approx(far, rel=1e-6)
    exact = math.sqrt(1 / np.linalg.inv(covariance(large, OWN, 1.0))[0, 0])
    assert far <= exact * (1 + 1e-9)


@given(noises, noises, noises)
def test_more_noise_of_the_others_never_costs_more(own: float, others: float, more: float) -> None:
    links = links_of(GRAPHS["ring"])
    less, most = sorted((others, others + more))
    found = [exposure(links, "0", own=own, others=each, pair=1.0).outsider for each in (less, most)]
    assert found[0] <= found[1] * (1 + 1e-9)


def test_epsilon_by_adversary_is_the_exact_gaussian_one_and_the_strongest_is_the_accounts() -> None:
    faced = Exposure(outsider=4.0, neighbor=2.0, neighbors=1.0)
    charges = [Charge(1.0, 1.0, 10, faced), Charge(1.0, 1.0, 6, faced)]
    found = exposed(charges, 1e-5, "prv")
    assert found is not None
    assert list(found) == ["outsider", "any neighbor", "all neighbors"]
    for name, sigma in zip(found, (4.0, 2.0, 1.0), strict=True):
        assert found[name] == pytest.approx(gaussian_epsilon(math.sqrt(16) / sigma, 1e-5), rel=1e-9)
    assert found["all neighbors"] == epsilon(charges, 1e-5)
    assert exposed([*charges, Charge(1.0, 1.0)], 1e-5, "prv") is None
    assert exposed([], 1e-5, "prv") is None
