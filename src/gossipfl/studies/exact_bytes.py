"""What agreement costs: bytes a node until the consensus distance is a wished part of that at the start; no training.

    {ring, one-peer exponential, Base-2} × {fp32, int8, …}, simulated       rounds, kB, times fewer

python -m gossipfl.studies.exact_bytes [--nodes 16] [--size 2000] [--goals 1e-2,1e-3,1e-6]

A goal of 1e-3 of the distance is 1e-6 of the sum of squares, which is how some count.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gossipfl.config.loading import load_simulation
from gossipfl.report.tables import markdown_table
from gossipfl.studies.whole_run import simulate_to_the_end

ROUNDS = 400
SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "ring": {"kind": "ring"},
    "one-peer exponential": {"schedule": "one_peer_exponential"},
    "Base-2": {"schedule": "base", "degree": 1},
}
CODECS: Mapping[str, Mapping[str, Any]] = {
    "fp32": {"codec": "fp32"},
    "bf16": {"codec": "bf16"},
    "int8": {"codec": "int8"},
    "int4": {"codec": "int4"},
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is averaged, and how far: parts of the distance at the start."""

    nodes: int
    size: int
    goals: Sequence[float]


@dataclass(frozen=True, slots=True)
class Cost:
    """Until the goal: exchange rounds and bytes a node; infinite where it was not reached."""

    rounds: float
    sent: float


Costs = list[Cost]
"""By goal."""
NEVER = Cost(np.inf, np.inf)


def simulated(wish: Wish, schedule: str, codec: str, folder: Path) -> Costs:
    """As gossipfl does it."""
    content = {
        "training": "none",
        "vectors": {"size": wish.size},
        "topology": dict(SCHEDULES[schedule]),
        "gossip": {"protocol": "sync", "settle_rounds": ROUNDS, "deadline_s": 1e6, **CODECS[codec]},
        "simulation": {"nodes": wish.nodes, "links": {"latency_s": 0.1}},
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content))
    simulate_to_the_end(load_simulation(path), folder / "run")
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    sent = [line["bytes_per_node"] for line in lines]
    # a line is written when the last node has mixed: all others have sent what belongs to the round after
    until = [0.0, *(before + (after - before) / wish.nodes for before, after in pairwise(sent))]
    distances = [line["consensus_distance"] for line in lines]
    return [reached(goal * distances[0], distances, until) for goal in wish.goals]


def reached(wished: float, distances: Sequence[float], until: Sequence[float]) -> Cost:
    """The first round after which the distance is as wished."""
    found = (Cost(number, until[number]) for number, distance in enumerate(distances) if distance <= wished)
    return next(found, NEVER)


def table(wish: Wish) -> str:
    """The table, as markdown."""
    found: dict[tuple[str, str], Costs] = {}
    for schedule in SCHEDULES:
        for codec in CODECS:
            with tempfile.TemporaryDirectory() as folder:
                found[schedule, codec] = simulated(wish, schedule, codec, Path(folder))
    goals = [f"to {goal:g}: rounds, kB, times fewer" for goal in wish.goals]
    head, ring = ("schedule", "codec", *goals), found["ring", "fp32"]
    return "\n\n".join(
        [
            f"{wish.nodes} nodes, {wish.size} values, bytes a node beside those of the fp32 ring:",
            markdown_table(head, [_row(key, costs, ring) for key, costs in found.items()]),
        ]
    )


def _row(key: tuple[str, str], costs: Costs, ring: Costs) -> tuple[str, ...]:
    cells = (
        "never" if cost == NEVER else f"{cost.rounds:.0f}, {cost.sent / 1000:,.1f}, {against.sent / cost.sent:.1f}"
        for cost, against in zip(costs, ring, strict=True)
    )
    return (*key, *cells)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--goals", default="1e-2,1e-3,1e-6")
    options = parser.parse_args()
    goals = [float(goal) for goal in options.goals.split(",")]
    sys.stdout.write(table(Wish(options.nodes, options.size, goals)) + "\n")


if __name__ == "__main__":
    main()
