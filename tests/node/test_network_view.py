"""All nodes at one moment, put together from what each of them tells."""

import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.net.reports import EdgeReport, RejectionReport, StatusDetails, StatusSnapshot
from gossipfl.node.network_view import EdgeView, NetworkView, view_of
from gossipfl.node.node_status import NodeStatus

LINKS = [("ada", "bob"), ("bob", "cid")]


def status(name: str, up: int = 1, of: int = 1, **edges: EdgeReport) -> StatusSnapshot:
    return StatusSnapshot(
        name, step=4, state="training", neighbors_up=up, neighbors=of, details=StatusDetails(10, None, edges)
    )


def health(*nodes: NodeStatus) -> dict[str, str]:
    view = view_of(nodes, LINKS)
    return {node.name: view.health(node) for node in view.nodes}


def test_a_node_is_up_partly_linked_or_down_by_its_own_word_or_its_neighbors() -> None:
    up, missing = EdgeReport(up=True), EdgeReport(up=False)
    ada = NodeStatus("ada", status("ada", bob=up))
    bob = NodeStatus("bob", status("bob", 1, 2, ada=up, cid=missing))
    silent = NodeStatus("cid", None)
    assert health(ada, bob, silent) == {"ada": "up", "bob": "partly", "cid": "down"}
    seen = NodeStatus("bob", status("bob", 2, 2, ada=up, cid=up))
    assert health(ada, seen, silent) == {"ada": "up", "bob": "up", "cid": "linked"}


def test_what_a_silent_neighbor_said_before_vouches_for_nobody() -> None:
    before = status("bob", 2, 2, ada=EdgeReport(up=True), cid=EdgeReport(up=True))
    bob = NodeStatus("bob", None, before, silent_s=3.0)
    assert health(NodeStatus("ada", None), bob, NodeStatus("cid", None)) == dict.fromkeys(("ada", "bob", "cid"), "down")


def test_a_node_nobody_can_ask_is_unknown_until_a_neighbor_answers() -> None:
    nobody = NodeStatus("cid", None, has_address=False)
    ada, bob = NodeStatus("ada", None), NodeStatus("bob", None)
    assert health(ada, bob, nobody)["cid"] == "unknown"
    answering = NodeStatus("bob", status("bob", 0, 2, ada=EdgeReport(), cid=EdgeReport()))
    assert health(ada, answering, nobody)["cid"] == "down"


@pytest.mark.parametrize(
    ("state", "step", "word"), [("settling", 10, "ended"), ("serving", 10, "down"), ("settling", 9, "down")]
)
def test_a_node_that_left_after_its_last_step_has_ended_and_one_that_was_to_serve_has_not(
    state: str, step: int, word: str
) -> None:
    before = replace(status("ada"), state=state, step=step)
    assert health(NodeStatus("ada", None, before, 5.0), NodeStatus("bob", None), NodeStatus("cid", None))["ada"] == word


def test_an_edge_has_the_bytes_that_its_senders_count_and_the_longer_silence() -> None:
    ada = NodeStatus("ada", status("ada", bob=EdgeReport(True, 100, 70, staleness=1, distance=2.0)))
    bob = NodeStatus("bob", status("bob", ada=EdgeReport(True, 80, 90, staleness=3, distance=4.0)))
    assert view_of([ada, bob], LINKS[:1]).edges == (EdgeView(("ada", "bob"), True, (100, 80), 3, 3.0),)
    alone = view_of([ada, NodeStatus("bob", None)], LINKS[:1]).edges
    assert alone == (EdgeView(("ada", "bob"), True, (100, 70), 1, 2.0),)
    assert view_of([NodeStatus("ada", None), NodeStatus("bob", None)], LINKS[:1]).edges == (
        EdgeView(("ada", "bob"), None, (None, None), None, None),
    )


def test_edges_to_nodes_that_peers_yaml_does_not_name_are_left_out() -> None:
    liar = NodeStatus("ada", status("ada", mallory=EdgeReport(up=True)))
    assert [edge.ends for edge in view_of([liar, NodeStatus("bob", None)], LINKS[:1]).edges] == [("ada", "bob")]


def test_rejections_of_all_are_in_the_order_of_time() -> None:
    def told(name: str, *ago_s: float) -> NodeStatus:
        rows = tuple(RejectionReport("x", "norm", 1, each) for each in ago_s)
        return NodeStatus(name, replace(status(name), details=StatusDetails(rejections=rows)))

    view = view_of([told("ada", 1.0, 9.0), told("bob", 4.0)], [])
    assert [(name, row.ago_s) for name, row in view.rejections()] == [("ada", 1.0), ("bob", 4.0), ("ada", 9.0)]


def view_over(graph: "nx.Graph[int]", states: np.ndarray) -> NetworkView:
    names = [f"n{node:02}" for node in graph]
    edges = [
        EdgeView((names[i], names[j]), True, (0, 0), 0, float(np.linalg.norm(states[i] - states[j])))
        for i, j in sorted(graph.edges)
    ]
    return NetworkView(tuple(NodeStatus(name, None) for name in names), tuple(edges))


@given(st.integers(3, 9), st.integers(0, 2**32 - 1), st.floats(0.3, 1.0))
def test_the_consensus_distance_lies_between_its_bounds(count: int, seed: int, density: float) -> None:
    graph = nx.gnp_random_graph(count, density, seed=seed)
    nx.add_path(graph, range(count))
    states = np.random.default_rng(seed).standard_normal((count, 5))
    true = math.sqrt(np.square(states - states.mean(axis=0)).sum() / count)
    between = view_over(graph, states).consensus_distance()
    assert between is not None
    low, high = between
    assert low * (1 - 1e-9) <= true <= high * (1 + 1e-9)
    if graph.number_of_edges() == count * (count - 1) / 2:
        assert low == pytest.approx(high) == pytest.approx(true)


def test_without_a_distance_between_two_parts_there_is_no_consensus_distance() -> None:
    states = np.eye(4)
    view = view_over(nx.path_graph(4), states)
    cut = [replace(edge, distance=None) if edge.ends == ("n01", "n02") else edge for edge in view.edges]
    assert view.consensus_distance() is not None
    assert replace(view, edges=tuple(cut)).consensus_distance() is None
