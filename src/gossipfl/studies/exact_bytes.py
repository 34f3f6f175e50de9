"""What agreement costs: bytes a node until the consensus distance is a wished part of that at the start; no training.

    {ring, one-peer exponential, Base-2} × {fp32, int8, …}, simulated       rounds, kB, times fewer

On a schedule that changes, whom a node sends to in this round did not hear it in the last, and lacks the x̂ that a
difference is added to: it gets x̂ whole, in fp32. The second table says what a reference of each pair's own would save:
x̂ as this neighbor saw it when the two last met.

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

from gossipfl.config.gossip import GossipConfig
from gossipfl.config.loading import load_simulation
from gossipfl.config.topology import TopologyConfig
from gossipfl.core.codecs import Codec, Stream, build_codec
from gossipfl.core.protocol import Schedule
from gossipfl.core.rng import generator
from gossipfl.core.topology import build_schedule
from gossipfl.report.tables import markdown_table
from gossipfl.sim.simulate import simulate
from gossipfl.state import AdapterSpec, Float32Vector, Segment

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
    simulate(load_simulation(path), folder / "run")
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    sent = [line["bytes_per_node"] for line in lines]
    # a line is written when the last node has mixed: all others have sent what belongs to the round after
    until = [0.0, *(before + (after - before) / wish.nodes for before, after in pairwise(sent))]
    distances = [line["consensus_distance"] for line in lines]
    return [_reached(goal * distances[0], distances, until) for goal in wish.goals]


def by_pair(wish: Wish, schedule: str, codec: str) -> Costs:
    """With a reference of each pair's own, computed here: x ← x + Σ w (x̂ of the other to me − x̂ of me to the other)."""
    topology = TopologyConfig.model_validate(SCHEDULES[schedule])
    names = tuple(f"n{place}" for place in range(wish.nodes))
    pairs = _Pairs(build_schedule(topology, names), build_codec(GossipConfig.model_validate(CODECS[codec])), wish)
    distances, until = [pairs.distance()], [0.0]
    while len(until) <= ROUNDS and distances[-1] > min(wish.goals) * distances[0]:
        pairs.exchange(len(until) - 1)
        distances.append(pairs.distance())
        until.append(pairs.sent / wish.nodes)
    return [_reached(goal * distances[0], distances, until) for goal in wish.goals]


def _reached(wished: float, distances: Sequence[float], until: Sequence[float]) -> Cost:
    """The first round after which the distance is as wished."""
    found = (Cost(number, until[number]) for number, distance in enumerate(distances) if distance <= wished)
    return next(found, NEVER)


class _Pairs:
    """All nodes, and what each saw of each."""

    def __init__(self, schedule: Schedule, codec: Codec, wish: Wish) -> None:
        self._schedule, self._codec = schedule, codec
        self._spec = AdapterSpec((Segment("vector", (wish.size,)),))
        self._stream = Stream(generator(0, purpose="by pair"))
        draw = {name: generator(0, node=name, purpose="vectors") for name in schedule.nodes}
        self._states = {name: rng.standard_normal(wish.size, np.float32) for name, rng in draw.items()}
        self._seen: dict[tuple[str, str], Float32Vector] = {}
        self.sent = 0

    def distance(self) -> float:
        """Root of the sum of squares around the mean."""
        states = np.stack(list(self._states.values())).astype(np.float64)
        return float(np.linalg.norm(states - states.mean(axis=0)))

    def exchange(self, number: int) -> None:
        """One round."""
        rows = {name: self._schedule.row(name, number) for name in self._schedule.nodes}
        for sender, row in rows.items():
            for receiver in row.receivers:
                self._send(sender, receiver)
        self._states = {name: self._mixed(name, row.weights) for name, row in rows.items()}

    def _send(self, sender: str, receiver: str) -> None:
        seen = self._seen.setdefault((sender, receiver), np.zeros(self._spec.size, np.float32))
        payload = memoryview(self._codec.encode(self._states[sender] - seen, self._spec, self._stream)).cast("B")
        self.sent += payload.nbytes
        self._seen[sender, receiver] = seen + self._codec.decode(payload, self._spec)

    def _mixed(self, name: str, weights: Mapping[str, float]) -> Float32Vector:
        own = self._states[name]
        others = [other for other in weights if other != name]
        # where only one of the two sends, there is nothing of its own that it saw of me
        mine = {other: self._seen.get((name, other), own) for other in others}
        return own + sum(
            (np.float32(weights[other]) * (self._seen[other, name] - mine[other]) for other in others),
            np.zeros_like(own),
        )


def table(wish: Wish) -> str:
    """Both tables, as markdown."""
    found: dict[tuple[str, str], Costs] = {}
    for schedule in SCHEDULES:
        for codec in CODECS:
            with tempfile.TemporaryDirectory() as folder:
                found[schedule, codec] = simulated(wish, schedule, codec, Path(folder))
    pairs = {(schedule, codec): by_pair(wish, schedule, codec) for schedule, codec in found if codec != "fp32"}
    goals = [f"to {goal:g}: rounds, kB, times fewer" for goal in wish.goals]
    head, ring = ("schedule", "codec", *goals), found["ring", "fp32"]
    return "\n\n".join(
        [
            f"{wish.nodes} nodes, {wish.size} values, bytes a node beside those of the fp32 ring:",
            markdown_table(head, [_row(key, costs, ring) for key, costs in found.items()]),
            "With a reference of each pair's own (computed, not built):",
            markdown_table(head, [_row(key, costs, ring) for key, costs in pairs.items()]),
        ]
    )


def _row(key: tuple[str, str], costs: Costs, ring: Costs) -> tuple[str, ...]:
    cells = (
        "never" if cost == NEVER else f"{cost.rounds:.0f}, {cost.sent / 1000:,.1f}, {against.sent / cost.sent:.1f}"
        for cost, against in zip(costs, ring, strict=True)
    )
    return (*key, *cells)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--goals", default="1e-2,1e-3,1e-6")
    options = parser.parse_args()
    goals = [float(goal) for goal in options.goals.split(",")]
    sys.stdout.write(table(Wish(options.nodes, options.size, goals)) + "\n")


if __name__ == "__main__":
    main()
