"""Runs of gossip alone, for tests."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from gossipfl.config.loading import load_simulation
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult
from gossipfl.sim.simulate import simulate

PLAIN: dict[str, Any] = {
    "training": "none",
    "vectors": {"size": 50},
    "topology": {"kind": "ring"},
    "gossip": {"protocol": "sync", "settle_rounds": 30, "deadline_s": 5.0, "linger_s": 10.0},
    "simulation": {"nodes": 16, "evaluate_every": 1, "links": {"latency_s": 0.1}},
}


def averaging(**changes: Any) -> dict[str, Any]:
    """The plain run with fields changed: `simulation__nodes=4`."""
    content: dict[str, Any] = json.loads(json.dumps(PLAIN))
    for path, value in changes.items():
        *sections, last = path.split("__")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return content


def request(folder: Path, content: dict[str, Any], *, resume: bool = False) -> Callable[..., RunResult]:
    """A run that is ready to go."""
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    return partial(simulate, load_simulation(path), folder / "run", resume=resume)


def run(folder: Path, content: dict[str, Any], show: Callable[[Progress], None] = lambda _: None) -> RunResult:
    """Runs it in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return request(folder, content)(show=show)


def lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """What was recorded."""
    return [json.loads(line) for line in (folder / "run" / name).read_text().splitlines()]
