"""What the dashboard costs a node: four real `gossipfl node --serve` on a ring that have finished, and a real browser.

    .venv/bin/python -m scripts.bench.dashboard [--seconds 20] [--pictures DIR] [--json]

CPU time of each whole process, from outside, as a share of one core: while nobody watches, while headless Chromium has
the page of `gossipfl dashboard` open, and while it has that of a node's own `--dashboard`. Every node has a long past.
Needs Chromium and playwright (extra dev). --pictures takes the page's pictures on the way.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from scripts.bench.folders import node_names, write_nodes
from scripts.bench.meters import process_cpu_s

from gossipfl.config.experiment import Experiment
from gossipfl.studies.fleet import Fleet, Job, node_job

EXPERIMENT: Mapping[str, Any] = {
    "model": {"source": "builtin:mlp", "inputs": 64, "hidden": [16]},
    "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
    "adapter": {"kind": "full"},
    "data": {"source": "sklearn:digits", "test_share": 0.2, "split": {"kind": "dirichlet", "dirichlet_alpha": 0.5}},
    "training": {
        "phases": 300,
        "local_steps": 2,
        "batch_size": 64,
        "learning_rate": 0.05,
        "threads": 1,
        "device": "cpu",
    },
    "privacy": {"level": "example", "target_epsilon": 8.0, "accountant": "rdp", "public_data": True},
}
START_S = 600.0
QUIET_S = 3.0
LOOKS = {"day": ((1280, 900), "light"), "night": ((1280, 900), "dark"), "phone": ((390, 844), "light")}


def measure(seconds: float, pictures: Path | None) -> dict[str, dict[str, float]]:
    """By what is watched, the share of one core by process."""
    names = node_names(4)
    with tempfile.TemporaryDirectory() as text, chromium() as browser:
        folder = Path(text)
        peers = written(folder, names)
        jobs = [node_job(peers, name, log=folder / f"{name}.log", extra=["--serve"]) for name in names[1:]]
        own = node_job(peers, names[0], log=folder / f"{names[0]}.log", extra=["--serve", "--dashboard", "0"])
        command = ["-m", "gossipfl", "dashboard", "--peers", str(peers), "--port", "0", "--json"]
        with Fleet([own, *jobs, Job("dashboard", command, folder / "dashboard.log")]) as fleet:
            said = fleet.processes["dashboard"].stdout
            urls = {"gossipfl dashboard": json.loads(said.readline())["url"] if said else "", "n0 --dashboard": ""}
            urls["n0 --dashboard"] = waited(lambda: said_in(folder / "n0.log"))
            waited(lambda: settled(browser, urls["gossipfl dashboard"], pictures))
            processes = {name: psutil.Process(process.pid) for name, process in fleet.processes.items()}
            time.sleep(QUIET_S)
            found = {"nobody": shares(processes, seconds)}
            for what, url in urls.items():
                with watched(browser, url):
                    found[what] = shares(processes, seconds)
            return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def written(folder: Path, names: tuple[str, ...]) -> Path:
    """peers.yaml of nodes on a ring that share a dataset."""
    peers = write_nodes(folder, Experiment.model_validate(EXPERIMENT), names)
    content = yaml.safe_load(peers.read_text())
    content["topology"] = {"kind": "ring"}
    for node in content["nodes"]:
        del node["data"]
        node["ledger"] = f"{node['name']}.sqlite"
    peers.write_text(yaml.safe_dump(content, sort_keys=False))
    return peers


def said_in(log: Path) -> str:
    """The URL that a node's log names."""
    found = re.search(r"dashboard: (\S+)", log.read_text()) if log.exists() else None
    return found[1] if found else ""


def settled(browser: Browser, url: str, pictures: Path | None) -> bool:
    """Whether all have finished; pictures are taken when two thirds are done."""
    with watched(browser, url) as page:
        states = page.locator("article").all_inner_texts()
        steps = [int(step) for state in states for step in re.findall(r"(\d+) of \d{3}", state)]
        planned = EXPERIMENT["training"]["phases"] * EXPERIMENT["training"]["local_steps"]
        if (
            pictures is not None
            and steps
            and min(steps) > planned / 3
            and not (pictures / "dashboard-day.png").exists()
        ):
            taken(browser, url, pictures)
        return len(states) == 4 and all("serving" in state for state in states)


def taken(browser: Browser, url: str, pictures: Path) -> None:
    """Pictures of the page."""
    for name, ((width, height), scheme) in LOOKS.items():
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(url)
        page.wait_for_selector("#accuracy polyline")
        page.screenshot(path=pictures / f"dashboard-{name}.png", full_page=True)
        page.close()


@contextmanager
def watched(browser: Browser, url: str) -> Iterator[Page]:
    """The page, open, with all nodes on it."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector("article")
    yield page
    page.close()


def waited(condition: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever it gives
    """What it gives once that is something."""
    deadline = time.monotonic() + START_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"the nodes were not done after {START_S:.0f} s")
        time.sleep(1.0)
    return found


def shares(processes: Mapping[str, psutil.Process], seconds: float) -> dict[str, float]:
    """CPU time over so many seconds."""
    before = {name: process_cpu_s(process) for name, process in processes.items()}
    started = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - started
    return {name: (process_cpu_s(process) - before[name]) / took for name, process in processes.items()}


def main() -> None:
    """Prints a line for each thing that is watched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pictures", type=Path, help="folder for dashboard-day.png, -night and -phone")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    chosen = parser.parse_args()
    found = measure(chosen.seconds, chosen.pictures)
    if chosen.json:
        print(json.dumps(found))
        return
    for what, by_process in found.items():
        row = "  ".join(f"{name} {share * 100:.2f}%" for name, share in by_process.items())
        print(f"{what + ' is watched:':32} {row}")


if __name__ == "__main__":
    main()
