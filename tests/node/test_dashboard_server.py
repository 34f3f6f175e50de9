"""The dashboard's port: who gets in, what every answer forbids, and what a watcher is told."""

import asyncio
import base64
import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.node.pages import WAIT_S, basic, connected, get, served
from tests.node.study import Study, make_study

from gossipfl.cli.app import main
from gossipfl.errors import ConfigError, NetworkError
from gossipfl.net.reports import EdgeReport, Measured, RejectionReport, StatusDetails, StatusSnapshot
from gossipfl.node.dashboard.gate import HEADERS
from gossipfl.node.dashboard.hub import MOST_WATCHERS
from gossipfl.node.dashboard.site import Site, is_loopback, parse_place, read_token, site_at

TOKEN = "correct horse battery staple"  # noqa: S105  # of a test


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three nodes of whom none runs; their model is never loaded."""
    return make_study(tmp_path / "study", tmp_path / "no-model")


PATHS = ("/", "/static/page.js", "/static/page.css", "/api/status", "/nothing", "/static/../app.py")


async def test_every_answer_forbids_scripts_of_others_frames_and_caches(study: Study) -> None:
    async with served(study) as url:
        for path in PATHS:
            found = await get(url, path)
            assert found.headers.items() >= HEADERS.items(), path
            assert "access-control-allow-origin" not in found.headers
            assert "server" not in found.headers
            assert found.status == (200 if path in PATHS[:4] else 404), path
        assert (await get(url, "/", method="POST")).status == 405
        assert "unsafe" not in HEADERS["content-security-policy"]
        turned_away = await get(url, "/", {"Host": "elsewhere.example"})
        assert turned_away.headers.items() >= HEADERS.items()


async def test_the_page_asks_for_nothing_that_is_not_in_the_package(study: Study) -> None:
    async with served(study) as url:
        page = (await get(url)).body
    assert "http://" not in page
    assert "https://" not in page
    assert "//" not in page.replace("<!doctype", "")


@pytest.mark.parametrize("name", ["elsewhere.example", "127.0.0.1.elsewhere.example", "192.0.2.1:80", "", "[::2]:80"])
async def test_on_loopback_a_name_that_is_not_this_machines_is_turned_away(study: Study, name: str) -> None:
    async with served(study) as url:
        for path in ("/", "/events", "/api/status"):
            assert (await get(url, path, {"Host": name})).status == 421


@pytest.mark.parametrize("name", ["localhost:8787", "127.0.0.1", "[::1]:8787", "LOCALHOST"])
async def test_on_loopback_this_machines_names_are_welcome(study: Study, name: str) -> None:
    async with served(study) as url:
        assert (await get(url, "/", {"Host": name})).status == 200


WRONG = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": basic("")},
    {"Authorization": basic(TOKEN[:-1])},
    {"Authorization": "Basic %%%"},
    {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
    {"Authorization": f"Digest {TOKEN}"},
    {"Cookie": f"token={TOKEN}"},
]


@pytest.mark.parametrize("headers", WRONG)
async def test_without_the_token_nothing_is_had(study: Study, headers: dict[str, str]) -> None:
    async with served(study, token=TOKEN) as url:
        for path in (*PATHS, "/events", f"/?token={TOKEN.replace(' ', '+')}"):
            found = await get(url, path, headers)
            assert found.status == 401, path
            assert found.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", [basic(TOKEN), f"Bearer {TOKEN}", f"bearer {TOKEN}"])
async def test_with_the_token_everything_is(study: Study, header: str) -> None:
    async with served(study, token=TOKEN) as url:
        assert (await get(url, "/", {"Authorization": header})).status == 200
        status = await get(url, "/api/status", {"Authorization": header})
    assert [node["name"] for node in json.loads(status.body)["nodes"]] == ["ada", "bob", "cid"]


async def test_off_loopback_it_is_served_over_tls_with_the_nodes_certificate(study: Study) -> None:
    context = ssl.create_default_context(cafile=study.folder / "certs" / "authority.pem")
    async with served(study, token=TOKEN, host="0.0.0.0") as url:  # noqa: S104  # with a token
        assert url.startswith("https://")
        shown = {"Authorization": basic(TOKEN)}
        reached = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        found = await get(reached, "/", {**shown, "Host": "anything.example"}, context=context)
        assert found.status == 200
        assert (await get(reached, context=context)).status == 401
        with pytest.raises((http.client.HTTPException, OSError)):
            await get(reached.replace("https", "http"), "/", shown)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "localhost.example.org"])  # noqa: S104
def test_off_loopback_without_a_token_there_is_no_page(host: str) -> None:
    with pytest.raises(ConfigError, match="needs a token"):
        site_at(host, 0, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "Localhost"])
def test_loopback_is_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "127.0.0.1.nip", "::ffff:10.0.0.1"])  # noqa: S104
def test_any_other_host_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_token_that_keeps_nobody_out_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for bad in ("", "short", "x" * 15, "x" * 600, "with\tsixteen letters"):
        file.write_text(bad)
        with pytest.raises(ConfigError, match="printable ASCII"):
            read_token(file, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path / "nothing", {})
    with pytest.raises(ConfigError, match="GOSSIPFL_DASHBOARD_TOKEN"):
        read_token(None, {"GOSSIPFL_DASHBOARD_TOKEN": "short"})
    file.write_text(TOKEN + "\n")
    assert read_token(file, {"GOSSIPFL_DASHBOARD_TOKEN": "another token of the right size"}) == TOKEN
    assert read_token(None, {"GOSSIPFL_DASHBOARD_TOKEN": TOKEN}) == TOKEN
    assert read_token(None, {}) is None
    assert TOKEN not in repr(site_at("127.0.0.1", 0, TOKEN))


def test_a_place_is_a_port_with_or_without_a_host() -> None:
    assert parse_place("8787") == ("127.0.0.1", 8787)
    assert parse_place("0.0.0.0:1") == ("0.0.0.0", 1)  # noqa: S104
    assert parse_place("[::1]:0") == ("[::1]", 0)
    for bad in ("", "x", "1.5", "127.0.0.1:", "-1", "65536"):
        with pytest.raises(ConfigError, match=r"\[HOST:\]PORT"):
            parse_place(bad)


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(NetworkError, match="port in use"):
        Site("127.0.0.1", taken.getsockname()[1]).listen()


def ada() -> StatusSnapshot:
    """What ada says of herself, hostile words included."""
    history = tuple(Measured(step, epsilon=0.5, test_accuracy=0.1 * step) for step in range(3))
    rejections = (RejectionReport("bob", "<script>alert(1)</script>\n\ndata: x", 2, 1.0),)
    edges = {"bob": EdgeReport(up=True, bytes_sent=7, distance=0.5)}
    return StatusSnapshot(
        "ada", step=2, epsilon=0.5, state="training", details=StatusDetails(9, 8.0, edges, rejections, history)
    )


def read_events(url: str, wanted: int) -> list[tuple[str, Any]]:
    """The first events of a stream."""
    connection = connected(url)
    connection.request("GET", "/events")
    reply = connection.getresponse()
    assert reply.headers["content-type"].startswith("text/event-stream")
    found: list[tuple[str, Any]] = []
    while len(found) < wanted:
        kind, data, end = (reply.readline().decode() for _ in range(3))
        assert (kind[:7], data[:6], end) == ("event: ", "data: ", "\n")
        found.append((kind[7:].strip(), json.loads(data[6:])))
    connection.close()
    return found


async def test_a_watcher_is_told_the_graph_the_past_and_then_the_network_again_and_again(study: Study) -> None:
    async with served(study, local=ada) as url:
        graph, history, network, again = await asyncio.to_thread(read_events, url, 4)
    assert [kind for kind, _ in (graph, history, network, again)] == ["graph", "history", "network", "network"]
    assert set(graph[1]["places"]) == {"ada", "bob", "cid"}
    assert graph[1]["links"] == [["ada", "bob"], ["ada", "cid"], ["bob", "cid"]]
    assert history[1] == {"ada": [[step, None, 0.1 * step, 0.5, None] for step in range(3)]}
    by_name = {node["name"]: node for node in network[1]["nodes"]}
    assert [node["health"] for node in by_name.values()] == ["up", "linked", "down"]
    assert (by_name["ada"]["last"]["step"], by_name["ada"]["last"]["target_epsilon"]) == (2, 8.0)
    assert by_name["bob"]["last"] is None
    assert network[1]["edges"][0]["bytes"] == [7, 0]
    # a line break in what a node says does not end the event
    assert network[1]["last_rejected"][0]["reason"].endswith("data: x")


async def test_a_page_more_than_there_may_be_is_told_so_and_gets_in_when_one_left(study: Study) -> None:
    async with served(study, local=ada) as url:
        watching = [connected(url) for _ in range(MOST_WATCHERS)]

        def watch() -> None:
            for connection in watching:
                connection.request("GET", "/events")
                assert connection.getresponse().readline()

        await asyncio.to_thread(watch)
        assert (await get(url, "/events")).status == 503
        for connection in watching:
            connection.close()
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    assert await asyncio.to_thread(read_events, url, 1)
                    break
                except AssertionError:
                    await asyncio.sleep(0.05)


def test_the_commands_refuse_before_anything_is_loaded(
    study: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOSSIPFL_DASHBOARD_TOKEN", raising=False)
    peers = str(study.peers)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, said in (
            (["dashboard", "--peers", peers, "--host", "0.0.0.0"], "needs a token"),  # noqa: S104
            (["dashboard", "--peers", peers, "--port", port], "port in use"),
            (["node", "--peers", peers, "--name", "ada", "--dashboard", "0.0.0.0:0"], "needs a token"),
            (["node", "--peers", peers, "--name", "ada", "--dashboard", port], "port in use"),
            (["node", "--peers", peers, "--name", "ada", "--dashboard", "x"], "[HOST:]PORT"),
        ):
            assert main(arguments) == 2
            printed = capsys.readouterr()
            assert printed.err.splitlines()[-1].startswith("error: ")
            assert said in printed.err
    assert not study.state("ada").exists()
