"""The lower line of every comparison: one node, the same learner and the same steps, no neighbor.

python -m gossipfl.studies.alone --peers F --name N     trains and prints one JSON object
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from gossipfl.config.loading import load_peers, resolve_self
from gossipfl.core.json_text import json_text
from gossipfl.learning.bench import Bench, RunTerms, build_learner
from gossipfl.learning.evaluation import Evaluation
from gossipfl.node.assembly import site_of


def train_alone(bench: Bench, *, phases: int, local_steps: int) -> Evaluation:
    """Loss and accuracy on the common test set after training without neighbors.

    Args:
        bench: learner and data of one node, with a test set.
        phases, local_steps: as many as the nodes that gossip do.
    """
    state = bench.adapted.initial
    for phase in range(phases):
        training = bench.learner.train(state, first_step=phase * local_steps, steps=local_steps)
        state = state + training.increment
        if training.exhausted:
            break
    if bench.data.test is None:
        raise ValueError("a comparison needs a common test set")
    return bench.learner.evaluate(state, bench.data.test)


def main() -> None:
    """Trains the named nodes one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--name", action="append", required=True)
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    loaded = load_peers(options.peers)
    training = loaded.experiment.experiment.training
    results: dict[str, Any] = {}
    for name in options.name:
        node = resolve_self(loaded.peers, name, {})
        bench = build_learner(loaded.experiment.experiment, site_of(loaded, node), RunTerms("alone", node.ledger))
        evaluation = train_alone(bench, phases=training.phases, local_steps=training.local_steps)
        receipt = bench.account.receipt()
        results[name] = {"accuracy": evaluation.accuracy, "loss": evaluation.loss, "epsilon": receipt.epsilon}
    sys.stdout.write(json_text(results) + "\n")


if __name__ == "__main__":
    main()
