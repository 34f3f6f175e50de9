"""The lower line of every comparison: one node, the same learner and the same steps, no neighbor.

python -m gossipfl.studies.alone --peers F --name N     trains and prints one JSON object
    --keep DIR                                          also writes the trained state to DIR/N, as a node's checkpoint
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from gossipfl.config.loading import LoadedPeers, load_peers, resolve_self
from gossipfl.core.json_text import json_text
from gossipfl.core.snapshot import Snapshot
from gossipfl.learning.alone import train_alone
from gossipfl.learning.bench import build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.node.assembly import site_of
from gossipfl.node.checkpoint import Saved, save_checkpoint
from gossipfl.state import AdapterState


def run_alone(loaded: LoadedPeers, name: str, *, keep: Path | None) -> dict[str, Any]:
    """Trains one node; ε, and accuracy and loss on the common test set where there is one."""
    experiment = loaded.experiment.experiment
    node = resolve_self(loaded.peers, name, {})
    bench = build_learner(experiment, site_of(loaded, node), RunTerms("alone", node.ledger))
    state = train_alone(bench, phases=experiment.training.phases, local_steps=experiment.training.local_steps)
    if keep is not None:
        keep_state(keep / name, state)
    test = bench.learner.evaluate(state, bench.data.test) if bench.data.test is not None else None
    receipt = bench.account.receipt()
    return {"accuracy": test and test.accuracy, "loss": test and test.loss, "epsilon": receipt.epsilon}


def keep_state(folder: Path, state: AdapterState) -> None:
    """Writes a state where `load_latest` finds it, as it finds that of a real node."""
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, Saved(Snapshot(state, unmixed=state), {}))


def main() -> None:
    """Trains the named nodes one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--name", action="append", required=True)
    parser.add_argument("--keep", type=Path, help="folder for the trained states")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    loaded = load_peers(options.peers)
    results = {name: run_alone(loaded, name, keep=options.keep) for name in options.name}
    sys.stdout.write(json_text(results) + "\n")


if __name__ == "__main__":
    main()
