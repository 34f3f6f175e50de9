"""`/metrics` as Prometheus reads it, and the board for Grafana that is made of it."""

import json
import math
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.node.pages import basic, get, served
from tests.node.study import Study, make_study

from gossipfl.net.reports import EdgeReport, StatusDetails, StatusSnapshot
from gossipfl.node.dashboard.metrics import metrics_text
from gossipfl.node.network_view import NetworkView, view_of
from gossipfl.node.node_status import NodeStatus

BOARD = Path(__file__).parents[2] / "scripts" / "deploy" / "grafana.json"
Series = dict[tuple[str, ...], float]


def status(name: str, epsilon: float = 1.5, **edges: EdgeReport) -> StatusSnapshot:
    return StatusSnapshot(
        name,
        step=4,
        epsilon=epsilon,
        state="training",
        neighbors_up=1,
        neighbors=2,
        bytes_sent=100,
        rejected={"norm": 3, 'a"b\\c\n': 1},
        test_accuracy=0.75,
        details=StatusDetails(10, 8.0, edges),
    )


def seen() -> NetworkView:
    """ada and bob answer, ada without privacy; cid did before."""
    edge = EdgeReport(True, 100, 70, 1, 2.0)
    ada, bob = status("ada", math.inf, bob=edge), status("bob", ada=EdgeReport(True, 80, 90, 3, 2.0))
    cid = NodeStatus("cid", None, status("cid"), silent_s=4.0)
    return view_of([NodeStatus("ada", ada), NodeStatus("bob", bob), cid], [("ada", "bob"), ("bob", "cid")])


def scraped(text: str) -> dict[str, Series]:
    """By name of the sample and values of its labels, in the order of the labels' names."""
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels[label] for label in sorted(sample.labels))] = (
                sample.value
            )
    return found


def test_every_node_that_answers_has_its_figures_and_a_silent_one_has_none() -> None:
    found = scraped(metrics_text(seen()).decode())
    assert found["gossipfl_node_up"] == {("ada",): 1, ("bob",): 1, ("cid",): 0}
    assert found["gossipfl_step"] == {("ada",): 4, ("bob",): 4}
    assert found["gossipfl_epsilon"] == {("bob",): 1.5}, "without privacy there is no ε"
    assert found["gossipfl_target_epsilon"][("bob",)] == 8.0
    assert found["gossipfl_test_accuracy"][("ada",)] == 0.75
    assert "gossipfl_test_loss" not in found
    assert found["gossipfl_sent_bytes_total"][("ada",)] == 100
    assert found["gossipfl_rejected_total"][("ada", 'a"b\\c\n')] == 1
    health = found["gossipfl_node_health"]
    assert {key for key, value in health.items() if value} == {("partly", "ada"), ("partly", "bob"), ("down", "cid")}


def test_every_edge_has_both_ways_its_staleness_and_its_distance() -> None:
    found = scraped(metrics_text(seen()).decode())
    assert found["gossipfl_edge_up"] == {("ada", "bob"): 1}
    # receiver, sender
    assert found["gossipfl_edge_sent_bytes_total"] == {("bob", "ada"): 100, ("ada", "bob"): 80}
    assert found["gossipfl_edge_staleness_mixings"] == {("ada", "bob"): 3}
    assert found["gossipfl_edge_distance"] == {("ada", "bob"): 2.0}
    assert "gossipfl_consensus_distance" not in found, "cid's distance is not known"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path / "study", tmp_path / "no-model")


async def test_it_is_scraped_where_the_page_is_and_with_its_token(study: Study) -> None:
    token = "correct horse battery staple"  # noqa: S105  # of a test
    async with served(study, token=token, local=lambda: status("ada")) as url:
        assert (await get(url, "/metrics")).status == 401
        answer = await get(url, "/metrics", {"Authorization": basic(token)})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert scraped(answer.body)["gossipfl_node_up"] == {("ada",): 1, ("bob",): 0, ("cid",): 0}


def test_the_board_asks_for_nothing_that_is_not_told() -> None:
    edge = EdgeReport(True, 1, 1, 1, 1.0)
    full = StatusSnapshot(
        "ada", rejected={"norm": 1}, test_loss=1.0, test_accuracy=1.0, details=StatusDetails(1, 1.0, {"bob": edge})
    )
    told = scraped(metrics_text(view_of([NodeStatus("ada", full), NodeStatus("bob", None)], [("ada", "bob")])).decode())
    board = json.loads(BOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for expression in asked for name in re.findall(r"gossipfl_\w+", expression)}
    assert len(names) >= 10
    assert names <= told.keys()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["datasource"] == {"type": "prometheus", "uid": "${source}"} for panel in board["panels"])
