"""Against gossipy-dfl 0.0.1: 100 nodes learn scikit-learn's digits, 10% of them are evaluated after each round.

                gossipy (push, merge and update)              gossipfl, `sync`
    graph       4-regular; a round: each node pushes to       random 4-regular graph, all 4 in every
                one random neighbor                           round | one_peer_exponential: one message each
    training    one epoch on its 14 or 15 examples, one       one step on the same number of examples
                step, for each message received
    evaluation  10 nodes: accuracy, precision, recall, F1     10 nodes and the mean model: loss and accuracy; and where
                                                              all nodes stand

A node-round of gossipy is one message and one update on average. Both: batches of 32, SGD of rate 0.1 in torch, one
thread; timed from the first round to the last, set-up left out, the two programs in turns. Without evaluation both
evaluate only what they cannot leave out: gossipy one node a round, gossipfl nothing between start and end.

The other environment needs gossipy-dfl 0.0.1 with its dependencies; torchvision may be absent, nothing here uses it.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.simulate_work import Work, fresh

MODELS = {"logistic": (), "mlp": (640, 640)}
"""Widths of hidden layers: 650 values, and 458,250."""
NODES = 100
TOPOLOGIES: dict[str, dict[str, object]] = {
    "gossipfl, 4 neighbors": {"kind": "random_regular", "degree": 4},
    "gossipfl, one peer": {"schedule": "one_peer_exponential", "inexact": True},
}


@dataclass(frozen=True, slots=True)
class Contest:
    """What both run.

    Attributes:
        model: name in `MODELS`.
        evaluated: 10% of the nodes after each round.
    """

    model: str
    evaluated: bool

    @property
    def rounds(self) -> int:
        """Enough for about two seconds of the quicker one."""
        return 10 if MODELS[self.model] else 100


def contest(chosen: Contest, python: Path) -> dict[str, float]:
    """Node-rounds a CPU-second, by program."""
    found = {"gossipy": gossipy_rate(chosen, python)}
    for name, topology in TOPOLOGIES.items():
        found[name] = fresh(ours(chosen, topology)).rate
    return found


def gossipy_rate(chosen: Contest, python: Path) -> float:
    """Of gossipy, in its own environment."""
    command = [
        str(python),
        str(Path(__file__).with_name("gossipy_program.py")),
        json.dumps({"hidden": MODELS[chosen.model], "rounds": chosen.rounds, "evaluated": chosen.evaluated}),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def ours(chosen: Contest, topology: dict[str, object]) -> Work:
    """The same in gossipfl."""
    hidden = MODELS[chosen.model]
    model = {"source": "builtin:mlp", "hidden": list(hidden)} if hidden else {"source": "builtin:logistic"}
    return Work(
        {
            "model": {**model, "inputs": 64},
            "task": {"kind": "vector-classification", "labels": [str(digit) for digit in range(10)]},
            "adapter": {"kind": "full"},
            "data": {
                "source": "sklearn:digits",
                "features": "features",
                "test_share": 0.2,
                "held_out": 0.0,
                "split": {"kind": "iid"},
            },
            "training": {
                "phases": chosen.rounds,
                "local_steps": 1,
                "batch_size": 32,
                "optimizer": "sgd",
                "learning_rate": 0.1,
                "device": "cpu",
                "threads": 1,
                "micro_batch": 512,
            },
            "privacy": {"level": "none"},
            "topology": topology,
            "gossip": {"protocol": "sync", "settle_rounds": 0, "deadline_s": 5.0, "linger_s": 10.0},
            "simulation": {
                "nodes": NODES,
                "evaluate_every": 1 if chosen.evaluated else 10_000,
                "evaluate_share": 0.1,
                "links": {"latency_s": 0.1},
            },
        }
    )
