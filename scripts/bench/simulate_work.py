"""Simulations to measure, each in a process started anew."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from scripts.bench.meters import cpu_s, resident_bytes
from scripts.bench.processes import play_together

Content = Mapping[str, Any]
STEPS = 4
NODE_STEPS = 512
"""Of all nodes in a run, at least: what `auto` tries first has to pay."""
VOCABULARY = 64


@dataclass(frozen=True, slots=True)
class Work:
    """One simulation.

    Attributes:
        content: of experiment.yaml.
        tokens: words of each of the made-up records; 0: there are none to be made.
    """

    content: Content
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """What one simulation cost.

    Attributes:
        whole_s: CPU-seconds from the configuration to the result.
        rate: node-steps (without training node-rounds) a CPU-second, without set-up, first and last evaluation.
        peak_bytes: largest resident size of the process.
        engine: that trained.
    """

    whole_s: float
    rate: float
    peak_bytes: int
    engine: str | None
    final: Mapping[str, float]


def averaging(schedule: str, nodes: int, values: int, rounds: int) -> Work:
    """Gossip alone, with 30% of the messages lost."""
    topology = (
        {"kind": "random_regular", "degree": 4}
        if schedule == "random_regular"
        else {"schedule": schedule, "inexact": True}
    )
    return Work(
        {
            "training": "none",
            "vectors": {"size": values},
            "topology": topology,
            "gossip": {"protocol": "sync", "settle_rounds": rounds, "deadline_s": 5.0, "linger_s": 10.0},
            "simulation": {"nodes": nodes, "evaluate_every": rounds, "links": {"latency_s": 0.1, "loss": 0.3}},
        }
    )


def pushing(nodes: int, values: int, rounds: int) -> Work:
    """Push-sum alone, with 30% of the messages lost; a round is a second."""
    return Work(
        {
            "training": "none",
            "vectors": {"size": values},
            "topology": {"kind": "random_regular", "degree": 4},
            "gossip": {"protocol": "push_sum", "settle_rounds": 10 * rounds, "deadline_s": 1.0, "linger_s": 1e3},
            "simulation": {
                "nodes": nodes,
                "evaluate_every": rounds,
                "until_s": float(rounds),
                "links": {"latency_s": 0.1, "loss": 0.3},
            },
        }
    )


def language(engine: str, nodes: int, rows: int, tokens: int) -> Work:
    """A tiny Llama with LoRA of rank 8, `rows` sequences a step."""
    return Work(
        {
            "model": {"source": "model"},
            "task": {"kind": "causal-lm", "max_length": tokens},
            "adapter": {"kind": "lora", "rank": 8, "targets": ["q_proj", "v_proj"]},
            "data": {"source": "texts.jsonl", "held_out": 0.0, "split": {"kind": "iid"}},
            "training": {
                "phases": max(2, NODE_STEPS // (nodes * STEPS)),
                "local_steps": STEPS,
                "batch_size": rows,
                "device": "cpu",
                "threads": 1,
            },
            "privacy": {"level": "none"},
            "topology": {"kind": "ring"},
            "gossip": {"protocol": "sync", "settle_rounds": 1, "deadline_s": 50.0, "linger_s": 50.0},
            "simulation": {"nodes": nodes, "engine": engine, "evaluate_every": 100},
        },
        tokens,
    )


def fresh(work: Work) -> Played:
    """Runs it in a process of its own."""
    (played,) = play_together([partial(play, work)])
    return played


def play(work: Work) -> Played:
    """Runs it in this process."""
    from gossipfl.config.loading import load_simulation  # noqa: PLC0415  # loads torch, which is not to be measured
    from gossipfl.sim import simulate  # noqa: PLC0415
    from gossipfl.sim.running import Run  # noqa: PLC0415

    spent: list[float] = []

    class Timed(Run):
        """Notes what the rounds alone cost, without the evaluations before and after."""

        def _advance(self, happens: Callable[[], bool]) -> None:
            started = cpu_s()
            super()._advance(happens)
            spent.append(cpu_s() - started)

    # the one name by which `simulate` runs a world
    vars(simulate)["Run"] = Timed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(work, folder)
        loaded = load_simulation(folder / "experiment.yaml")
        started = cpu_s()
        result = simulate.simulate(loaded, folder / "run")
        whole_s = cpu_s() - started
    return Played(whole_s, result.node_steps / spent[0], resident_bytes(peak=True), result.engine, result.final)


def write(work: Work, folder: Path) -> None:
    """experiment.yaml, and for language the model and the texts."""
    (folder / "experiment.yaml").write_text(yaml.safe_dump(dict(work.content)))
    if not work.tokens:
        return
    from scripts.bench.unit_gradients import tiny_llama  # noqa: PLC0415  # loads torch

    from gossipfl.core.rng import generator  # noqa: PLC0415

    tiny_llama(folder / "model")
    rng = generator(0, purpose="bench texts")
    records = work.content["simulation"]["nodes"] * work.content["training"]["batch_size"] * 2
    words = rng.integers(2, VOCABULARY, (records, work.tokens))
    lines = [json.dumps({"text": " ".join(f"w{word}" for word in row)}) for row in words]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
