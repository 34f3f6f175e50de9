"""The main job: four organizations on one machine, four real processes, one adapter, no server.

gossip   4 × `gossipfl node`, mTLS on loopback, ring, DP-SGD at ε = 8
alone    the same nodes, data, steps and ε without neighbors, with the learning rate that is best for them
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gossipfl.core.json_text import json_text
from gossipfl.studies.demo_config import NODES, PHASES, RATES
from gossipfl.studies.demo_files import DemoFiles, write_demo
from gossipfl.studies.fleet import Fleet, Job, node_job

TIMEOUT_S = 1200.0
FLOOR = {True: 0.80, False: 0.88}
"""Mean test accuracy with gossip below which the demo says so and fails, with and without privacy."""
MARGIN = 0.20
"""Points of accuracy that gossip has to be above alone under privacy."""


@dataclass(frozen=True, slots=True)
class DemoNode:
    """One line of the demo's table; accuracies on the common test set."""

    name: str
    labels: Counter[str]
    alone_accuracy: float
    gossip_accuracy: float
    epsilon: float | None
    target_epsilon: float | None
    delta: float
    noise_multiplier: float | None
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found.

    Attributes:
        shortfall: what was promised and not reached; empty when all was.
    """

    nodes: tuple[DemoNode, ...]
    seconds: float
    output: Path
    learning_rates: Mapping[str, float]
    shortfall: str

    @property
    def gossip_mean(self) -> float:
        """Mean accuracy of the nodes with gossip."""
        return sum(node.gossip_accuracy for node in self.nodes) / len(self.nodes)

    @property
    def alone_mean(self) -> float:
        """Mean accuracy of the nodes alone."""
        return sum(node.alone_accuracy for node in self.nodes) / len(self.nodes)

    def as_json(self) -> dict[str, Any]:
        """The keys of commands.md and what explains them."""
        return {
            "nodes": [
                {
                    "name": node.name,
                    "alone_accuracy": node.alone_accuracy,
                    "gossip_accuracy": node.gossip_accuracy,
                    "epsilon": node.epsilon,
                    "target_epsilon": node.target_epsilon,
                    "delta": node.delta,
                    "noise_multiplier": node.noise_multiplier,
                    "bytes_sent": node.bytes_sent,
                    "labels": dict(node.labels),
                }
                for node in self.nodes
            ],
            "alone_mean": self.alone_mean,
            "gossip_mean": self.gossip_mean,
            "learning_rates": dict(self.learning_rates),
            "seconds": self.seconds,
            "output": str(self.output),
            "shortfall": self.shortfall,
        }


def run_demo(
    output: Path,
    *,
    private: bool = True,
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    phases: int = PHASES,
    watch: Callable[[Mapping[str, int]], None] = lambda _: None,
) -> DemoResult:
    """Runs both arms in real processes and compares them on the common test set.

    Args:
        output: empty or new folder that keeps everything.
        private: DP-SGD; off, the same demo shows what the noise costs.
        seed: of split, test set and head.
        rates: learning rate of the arms gossip and alone; default: as searched beforehand.
        phases: for a look at it in less time; what is promised is that of all of them.
        watch: called now and then with the optimizer steps done by each node.

    Raises:
        GossipflError: a process failed or was not done in time; none is left behind.
    """
    started = time.monotonic()
    rates = rates or RATES[private]
    files = write_demo(output, private=private, seed=seed, rates=rates, phases=phases)
    gossip = _run_gossip(files.peers["gossip"], watch)
    alone = _run_alone(files.peers["alone"])
    nodes = tuple(_demo_node(name, files, gossip[name], alone[name]) for name in NODES)
    found = DemoResult(nodes, time.monotonic() - started, output, rates, shortfall="")
    result = replace(found, shortfall="; ".join(_problems(found, private=private)))
    (output / "result.json").write_text(json_text(result.as_json()) + "\n")
    return result


def _run_gossip(peers: Path, watch: Callable[[Mapping[str, int]], None]) -> Mapping[str, dict[str, Any]]:
    logs = peers.parent
    with Fleet([node_job(peers, name, log=logs / f"{name}.log") for name in NODES]) as fleet:
        return fleet.results(timeout_s=TIMEOUT_S, watch=lambda: watch(_steps(peers.parent)))


def _run_alone(peers: Path) -> Mapping[str, dict[str, Any]]:
    """Two processes, two nodes each: as many as the smallest machine has cores."""
    halves = [NODES[::2], NODES[1::2]]
    jobs = [
        Job(
            " and ".join(half),
            ["-m", "gossipfl.studies.alone", "--peers", str(peers), *(f"--name={name}" for name in half)],
            peers.parent / f"{half[0]}.log",
        )
        for half in halves
    ]
    with Fleet(jobs) as fleet:
        results = fleet.results(timeout_s=TIMEOUT_S)
    return {name: figures for half in results.values() for name, figures in half.items()}


def _steps(folder: Path) -> dict[str, int]:
    """Steps by node, from the last line of each node's metrics."""
    steps = dict.fromkeys(NODES, 0)
    for name in NODES:
        metrics = folder / "state" / name / "metrics.jsonl"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        if lines and lines[-1].endswith("}"):
            steps[name] = json.loads(lines[-1])["step"]
    return steps


def _demo_node(name: str, files: DemoFiles, gossip: Mapping[str, Any], alone: Mapping[str, Any]) -> DemoNode:
    return DemoNode(
        name=name,
        labels=files.sizes[name],
        alone_accuracy=alone["accuracy"],
        gossip_accuracy=gossip["test_accuracy"],
        epsilon=gossip["epsilon"],
        target_epsilon=gossip["target_epsilon"],
        delta=gossip["delta"],
        noise_multiplier=gossip["noise_multiplier"],
        bytes_sent=gossip["bytes_sent"],
    )


def _problems(result: DemoResult, *, private: bool) -> list[str]:
    """What was promised and not reached, one clause each."""
    problems = []
    if result.gossip_mean < FLOOR[private]:
        problems.append(f"the mean accuracy with gossip is {result.gossip_mean:.3f}, {FLOOR[private]:.2f} was promised")
    if private and result.gossip_mean - result.alone_mean < MARGIN:
        margin = 100 * (result.gossip_mean - result.alone_mean)
        problems.append(f"gossip is {margin:.1f} points above alone, {100 * MARGIN:.0f} were promised")
    if private and not all(_within(node) for node in result.nodes):
        problems.append("a node has spent more than its target ε")
    return problems


def _within(node: DemoNode) -> bool:
    return node.epsilon is not None and node.target_epsilon is not None and node.epsilon <= node.target_epsilon
