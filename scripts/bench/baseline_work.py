"""Work of the baseline bench, each piece in a process started anew."""

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scripts.bench.meters import cpu_s, loopback_bytes
from scripts.bench.processes import play_together
from scripts.bench.simulate_work import Work, write

CLIENTS, STEPS, ROWS, TOKENS = 20, 5, 4, 32
MLP_CLIENTS, PIXELS, HIDDEN, DIGITS = 4, 64, 3500, 10
MLP_VALUES = (PIXELS + 1) * HIDDEN + (HIDDEN + 1) * DIGITS


def language(rounds: int, engine: str = "batched") -> Work:
    """20 clients, tiny Llama with LoRA, 5 local steps of 4 × 32 tokens; gossip on a ring."""
    return Work(
        {
            "model": {"source": "model"},
            "task": {"kind": "causal-lm", "max_length": TOKENS},
            "adapter": {"kind": "lora", "rank": 8, "targets": ["q_proj", "v_proj"]},
            "data": {"source": "texts.jsonl", "held_out": 0.0, "split": {"kind": "iid"}},
            "training": {
                "phases": rounds,
                "local_steps": STEPS,
                "batch_size": ROWS,
                "device": "cpu",
                "threads": 1,
                "optimizer_state": "reset",
            },
            "privacy": {"level": "none"},
            "topology": {"kind": "ring"},
            "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
            "simulation": {"nodes": CLIENTS, "engine": engine, "evaluate_every": 10_000},
        },
        TOKENS,
    )


def large(rounds: int) -> Work:
    """Four clients, an MLP of 1.05 MB, one step of one record: rounds that are bytes and little else."""
    training = {"phases": rounds, "local_steps": 1, "batch_size": 1, "device": "cpu", "threads": 1}
    return Work(
        {
            "model": {"source": "builtin:mlp", "inputs": PIXELS, "hidden": [HIDDEN]},
            "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(DIGITS)]},
            "adapter": {"kind": "full"},
            "data": {"source": "sklearn:digits", "held_out": 0.0, "test_share": 0.2, "split": {"kind": "iid"}},
            "training": {**training, "optimizer": "sgd", "learning_rate": 0.01, "optimizer_state": "reset"},
            "privacy": {"level": "none"},
            "topology": {"kind": "ring"},
            "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 1e6},
            "simulation": {"nodes": MLP_CLIENTS, "engine": "loop", "evaluate_every": 10_000},
        }
    )


def deployment_bytes(rounds: int) -> int:
    """Bytes over loopback of a whole deployment: start, rounds, end."""
    from gossipfl.baseline.fedavg import fedavg  # noqa: PLC0415  # loads torch
    from gossipfl.config.loading import load_experiment  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(large(rounds), folder)
        before = loopback_bytes()
        fedavg(load_experiment(folder / "experiment.yaml"), folder / "run", mode="deployment")
        return loopback_bytes() - before


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the rounds after the first, a round; of the first, set-up is a part.

    Attributes:
        seconds: of the clock.
        cpu_s: of this process.
    """

    seconds: float
    cpu_s: float


class Watch:
    """Notes when rounds end."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float, float]] = []

    def __call__(self, progress: Any) -> None:  # noqa: ANN401  # `Progress`, of a module that loads torch
        """A round has ended, or many."""
        self._marks.append((progress.rounds, time.monotonic(), cpu_s()))

    def cost(self) -> Cost:
        """From the end of the first round to that of the last."""
        whole = [mark for mark in self._marks if mark[0] >= 1]
        (first, began_s, began_cpu), (last, ended_s, ended_cpu) = whole[0], whole[-1]
        return Cost((ended_s - began_s) / (last - first), (ended_cpu - began_cpu) / (last - first))


def fresh(how: str, rounds: int) -> Cost:
    """Runs it in a process of its own: gossip, inprocess, simulation, bare."""
    (cost,) = play_together([partial(play, how, rounds)])
    return cost


def play(how: str, rounds: int) -> Cost:
    """Runs it in this process."""
    from gossipfl.config.loading import load_experiment  # noqa: PLC0415  # loads torch, which is not to be measured

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(language(rounds), folder)
        loaded = load_experiment(folder / "experiment.yaml")
        if how == "bare":
            return _bare(loaded, rounds)
        watch = Watch()
        if how == "gossip":
            from gossipfl.sim import running, simulate  # noqa: PLC0415

            vars(running)["LOOK_S"] = 0.0
            simulate.simulate(loaded, folder / "run", show=watch)
        else:
            from gossipfl.baseline.fedavg import fedavg  # noqa: PLC0415

            fedavg(loaded, folder / "run", mode=how, show=watch)
        return watch.cost()


def _bare(loaded: Any, rounds: int) -> Cost:  # noqa: ANN401  # `LoadedExperiment`
    """The same learners and a mean in numpy: no Flower, no records, no messages."""
    import numpy as np  # noqa: PLC0415

    from gossipfl.runs.fleet import build_fleet  # noqa: PLC0415
    from gossipfl.runs.progress import Progress  # noqa: PLC0415
    from gossipfl.runs.roster import Roster  # noqa: PLC0415
    from gossipfl.state import AdapterState  # noqa: PLC0415

    names = loaded.experiment.simulation.names
    fleet = build_fleet(loaded.experiment, Roster(names, loaded.folder), names)
    state, watch = fleet.initial, Watch()
    for index in range(rounds):
        after = []
        for bench in fleet.benches.values():
            training = bench.learner.train(state, first_step=index * STEPS, steps=STEPS)
            after.append(training.state.vector)
        state = AdapterState(state.spec, np.mean(after, axis=0, dtype=np.float32))
        watch(Progress(index + 1, 0, 0.0, 0.0, None))
    return watch.cost()
