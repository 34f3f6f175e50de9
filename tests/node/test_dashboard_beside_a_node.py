"""`gossipfl node --dashboard`: the page of a node that nobody can ask from outside, and its end with the node."""

import asyncio
import http.client
import json
import re
import signal
import time
from typing import Any

import pytest
from tests.forked import forked
from tests.node.conftest import Begin
from tests.node.pages import connected, get
from tests.node.study import Study, wait_until

from gossipfl.studies.fleet import Fleet

STOP_S = 5.0
URL = re.compile(r"dashboard: (http://\S+)")

pytestmark = pytest.mark.slow


def url_in(study: Study, name: str) -> str | None:
    """Where a node says that its page is."""
    log = study.folder / f"{name}.log"
    found = URL.search(log.read_text()) if log.exists() else None
    return found[1] if found else None


def nodes_by(url: str) -> dict[str, Any]:
    """What its page tells of every node."""
    answer = asyncio.run(get(url, "/api/status"))
    assert answer.status == 200
    return {node["name"]: node for node in json.loads(answer.body)["nodes"]}


def watching(url: str) -> http.client.HTTPConnection:
    """An open page."""
    connection = connected(url)
    connection.request("GET", "/events")
    assert connection.getresponse().readline()
    return connection


def test_a_node_that_only_dials_out_shows_itself_and_all_others(begin: Begin) -> None:
    study = begin(dials_only=["cid"], gossip={"linger_s": 0.5, "deadline_s": 5, "settle_rounds": 1})
    jobs = [study.job("ada", "--serve"), study.job("bob", "--serve"), study.job("cid", "--serve", "--dashboard", "0")]
    with Fleet(jobs, launch=forked) as fleet:
        wait_until(lambda: url_in(study, "cid"), fleet, what="cid has its page")
        url = url_in(study, "cid")
        assert url is not None
        assert url.startswith("http://127.0.0.1:")
        wait_until(lambda: _all_serve(url), fleet, what="all are served")
        told = nodes_by(url)
        assert [node["health"] for node in told.values()] == ["up", "up", "up"]
        assert told["cid"]["neighbors_up"] == 2
        assert 0 < told["cid"]["epsilon"] <= 8.0
        assert not told["cid"].keys() & {"loss", "accuracy"}, "there is no common test set"
        open_page = watching(url)
        started = time.monotonic()
        fleet.processes["cid"].send_signal(signal.SIGTERM)
        assert fleet.processes["cid"].wait(60) == 0
        assert time.monotonic() - started < STOP_S
        open_page.close()
    assert "Traceback" not in (study.folder / "cid.log").read_text()


def _all_serve(url: str) -> bool:
    return all(node["state"] == "serving" and node["health"] == "up" for node in nodes_by(url).values())
