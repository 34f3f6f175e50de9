"""The dashboard in a real browser, over four real nodes: one is killed, turns red, comes back, turns green."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.forked import forked
from tests.node.study import Study, give_vectors, make_study

from gossipfl.studies.fleet import Fleet, Job

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # whoever asks for a host gets none
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
NAMES = ("north", "east", "south", "west")
WAIT_MS = 90_000
"""Far more than anything here takes: a deadline only for what hangs."""
GREEN, RED, PAPER = "rgb(15, 123, 77)", "rgb(198, 40, 40)", "rgb(255, 255, 255)"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]


@dataclass(frozen=True, slots=True)
class Network:
    """Four nodes on a ring that go on serving, and the process with the page over them."""

    study: Study
    fleet: Fleet
    pages: Fleet
    url: str


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    study = make_study(tmp_path_factory.mktemp("dashboard") / "study", Path("none"), names=NAMES)
    give_vectors(study, own_ledgers=True)
    study.edit("experiment.yaml", lambda content: content.update(FIELDS))
    study.edit("peers.yaml", lambda content: content.update(topology={"kind": "ring"}))
    with Fleet([study.job(name, "--serve") for name in NAMES], launch=forked) as fleet, Fleet([]) as pages:
        yield Network(study, fleet, pages, opened(study, pages, port="0"))


FIELDS = {
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2},
    "privacy": {"level": "example", "target_epsilon": 8.0, "accountant": "rdp", "public_data": True},
}


def opened(study: Study, pages: Fleet, *, port: str) -> str:
    """Starts a dashboard over the nodes; its URL."""
    command = ["-m", "gossipfl", "dashboard", "--peers", str(study.peers), "--port", port, "--json"]
    pages.start(Job("dashboard", command, study.folder / "dashboard.log"))
    said = pages.processes["dashboard"].stdout
    assert said is not None
    return str(json.loads(said.readline())["url"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One that must not complain: a breach of its policy is an error on its console."""
    complaints: list[str] = []
    opened = browser.new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    yield opened
    opened.close()
    assert [each for each in complaints if "ERR_CONNECTION_REFUSED" not in each and "ERR_INCOMPLETE" not in each] == []


def expect_health(page: Page, name: str, health: str, color: str | None = None) -> None:
    """Circle and card of a node are so, before long."""
    circle, card = (page.locator(f"{kind}[data-node={name}][data-health]") for kind in ("#graph circle", "article"))
    expect(card).to_have_attribute("data-health", health, timeout=WAIT_MS)
    expect(circle).to_have_attribute("data-health", health, timeout=WAIT_MS)
    if color is not None:
        expect(circle).to_have_css("fill", color)


def test_it_opens_and_shows_four_live_nodes(network: Network, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(network.url)
    for name in NAMES:
        expect_health(page, name, "up", GREEN)
    expect(page.locator("#summary")).to_contain_text("4 nodes · 4 there")
    expect(page.locator("#connection")).to_have_text("live")
    assert page.locator("#graph line[data-up=yes]").count() == 4
    # loss, accuracy, distance and ε: a line a node, when each has trained for some steps
    expect(page.locator("figure:not([hidden]) polyline")).to_have_count(16, timeout=WAIT_MS)
    expect(page.locator("#summary")).to_contain_text("consensus distance")
    expect(page.locator("#edges tr").first).to_contain_text(re.compile(r"kB|MB"))
    expect(page.locator("article[data-node=north]")).to_contain_text(re.compile(r"of 8"))
    # nothing of anybody else's
    assert len(asked) > 5
    assert {url.split("/")[2] for url in asked} == {network.url.split("/")[2]}


def test_a_killed_node_turns_red_and_green_when_it_is_back(network: Network, page: Page) -> None:
    page.goto(network.url)
    expect_health(page, "west", "up", GREEN)
    # one that ends before it serves may have left of its own will
    expect(page.locator("article[data-node=west]")).to_contain_text("serving", timeout=WAIT_MS)
    before = page.locator("#accuracy polyline[data-node=west]").get_attribute("points")
    network.fleet.kill("west")
    expect_health(page, "west", "down", RED)
    # a ring, so that it is told apart from a red circle without its color
    expect_health(page, "north", "partly", PAPER)
    expect_health(page, "east", "up", GREEN)
    expect(page.locator("#summary")).to_contain_text("1 down")
    expect(page).to_have_title("gossipfl: 1 down")
    expect(page.locator("#graph line[data-up=no]")).to_have_count(2)
    expect(page.locator("article[data-node=west]")).to_contain_text("silent for")
    # what it told of its past is still there
    assert before is not None
    expect(page.locator("#accuracy polyline[data-node=west]")).to_have_count(1)
    network.fleet.start(network.study.job("west", "--serve"))
    expect_health(page, "west", "up", GREEN)
    expect_health(page, "north", "up", GREEN)
    expect(page).to_have_title("gossipfl: none down")
    # and its new life tells of the old one's first steps
    assert page.evaluate(FIRST_STEP, network.url) <= 2


FIRST_STEP = """async () => new Promise((done) => {
  const source = new EventSource("events");
  source.addEventListener("history", (event) => { source.close(); done(JSON.parse(event.data).west[0][0]); });
})"""


@pytest.mark.parametrize("width", [360, 390, 768])
def test_on_a_phone_it_fits_the_width(network: Network, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(network.url)
    expect(page.locator("article")).to_have_count(4)
    expect(page.locator("figure:not([hidden]) polyline")).to_have_count(16, timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in page.locator("figure:not([hidden]) svg").all():
        box = plot.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_it_is_light_by_day_and_dark_by_night(network: Network, page: Page) -> None:
    page.goto(network.url)
    for scheme, paper, ink in (
        ("light", "rgb(255, 255, 255)", "rgb(27, 31, 36)"),
        ("dark", "rgb(20, 23, 27)", "rgb(230, 233, 237)"),
    ):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two words
        expect(page.locator("body")).to_have_css("background-color", paper)
        expect(page.locator("#graph text").first).to_have_css("fill", ink)


def test_whatever_a_node_says_is_text(network: Network, page: Page) -> None:
    page.goto(network.url)
    expect(page.locator("article")).to_have_count(4)
    page.evaluate(
        """async (words) => {
          const nodes = await import("./static/nodes.js");
          const graph = await import("./static/graph.js");
          const at = (id) => document.getElementById(id);
          nodes.showRejected(at("rejected"), [{ node: words, peer: words, reason: words, times: 1, ago_s: 1 }]);
          graph.showEdges(at("edges"), [{ ends: [words, words], up: true, bytes: [1, 2], staleness: 0, distance: 1 }]);
          const last = { step: 1, steps_planned: 2, epsilon: null, target_epsilon: null, neighbors_up: 0, neighbors: 0,
                         staleness: 0, bytes_sent: 0, bytes_received: 0, rejected: {}, state: words };
          nodes.showNodes(at("nodes"), [{ name: words, health: "up", silent_s: null, has_address: true, last }]);
        }""",
        HOSTILE,
    )
    assert page.locator("main img, main script, main b").count() == 0
    assert page.locator("article h3").first.inner_text().startswith(HOSTILE)


HOSTILE = "<img src=x onerror=alert(1)><b>x</b>"


def test_a_pointer_on_a_curve_shows_the_values_there(network: Network, page: Page) -> None:
    page.goto(network.url)
    expect(page.locator("#accuracy polyline")).to_have_count(4, timeout=WAIT_MS)
    page.locator("#accuracy svg").hover()
    expect(page.locator("#accuracy .tip")).to_contain_text(re.compile(r"step \d+"))
    expect(page.locator("#accuracy .tip")).to_contain_text("west")


def test_when_the_dashboard_is_gone_the_page_says_so_and_goes_on_when_it_is_back(network: Network, page: Page) -> None:
    port = network.url.rstrip("/").rpartition(":")[2]
    page.goto(network.url)
    expect(page.locator("#connection")).to_have_text("live")
    network.pages.kill("dashboard")
    expect(page.locator("#connection")).to_contain_text("does not answer")
    assert opened(network.study, network.pages, port=port) == network.url
    expect(page.locator("#connection")).to_have_text("live", timeout=WAIT_MS)
