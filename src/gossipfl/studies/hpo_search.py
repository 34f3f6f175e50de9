"""Searches the learning rates of the language-model study, on held-out terms that are not the study's.

python -m gossipfl.studies.hpo_search [--privacy]      prints the loss on the other organ system by arm and rate

One process plays both nodes, the mean of both after every phase in place of gossip; weights in bf16, for time.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean

from gossipfl.config.experiment import Experiment
from gossipfl.core.json_text import json_text
from gossipfl.learning.alone import train_alone
from gossipfl.learning.bench import Bench, build_learner
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite
from gossipfl.state import AdapterState
from gossipfl.studies.hpo_config import ARMS, SYSTEMS, Trial, default_trial, hpo_experiment
from gossipfl.studies.hpo_files import write_terms

SEED = 101
CANDIDATES = (0.1, 0.3, 0.6)
"""Learning rates; both arms try all of them, with and without privacy."""
TERMS = 40
"""Held-out terms of each organ system."""

logger = logging.getLogger(__name__)


def search(folder: Path, *, private: bool) -> dict[str, dict[str, float]]:
    """Loss on the other organ system, mean over nodes, by arm and rate; the best of each arm belongs in `hpo_config`.

    Args:
        folder: for terms and ledgers; new.
        private: DP-SGD, with seeded noise: it protects nobody, and the terms are public.
    """
    found: dict[str, dict[str, float]] = {arm: {} for arm in ARMS}
    trial = replace(default_trial(private=private, seed=SEED), held_out=TERMS)
    write_terms(folder, trial)
    for rate in CANDIDATES:
        for arm, train in (("gossip", _gossip), ("alone", _alone)):
            experiment = _experiment(replace(trial, rates={arm: rate}), arm=arm)
            with ExitStack() as stack:
                benches = [_bench(folder / f"{arm}-{rate:g}", experiment, name) for name in SYSTEMS]
                for bench in benches:
                    stack.callback(bench.close)
                found[arm][f"{rate:g}"] = mean(_loss(*pair) for pair in zip(benches, train(benches), strict=True))
            logger.info("learning rate %g, %s: %.4f", rate, arm, found[arm][f"{rate:g}"])
    return found


def _gossip(benches: Sequence[Bench]) -> list[AdapterState]:
    """One state for all: what two nodes come to that mix with one half each after every phase."""
    state, training = benches[0].adapted.initial, benches[0].adapted.experiment.training
    for phase in range(training.phases):
        first, steps = phase * training.local_steps, training.local_steps
        trained = [bench.learner.train(state, first_step=first, steps=steps, phase=phase) for bench in benches]
        state = AdapterState.weighted_sum([(1 / len(benches), each.state) for each in trained])
    return [state for _ in benches]


def _alone(benches: Sequence[Bench]) -> list[AdapterState]:
    training = benches[0].adapted.experiment.training
    return [train_alone(bench, phases=training.phases, local_steps=training.local_steps) for bench in benches]


def _loss(bench: Bench, state: AdapterState) -> float:
    if bench.data.test is None:
        raise ValueError("the other's held-out terms are the test set")
    return bench.learner.evaluate(state, bench.data.test).loss


def _bench(run: Path, experiment: Experiment, name: str) -> Bench:
    """Where a node trains; its test set are the held-out terms of the other organ system."""
    (other,) = [each for each in SYSTEMS if each != name]
    data = experiment.data.model_copy(update={"test": f"{other}-held-out.jsonl"})
    site = DataSite(name, tuple(SYSTEMS), f"{name}.jsonl", run.parent, run.parent)
    terms = RunTerms(run.name, f"{run.name}-{name}.sqlite", streams="seeded")
    return build_learner(experiment.model_copy(update={"data": data}), site, terms)


def _experiment(trial: Trial, *, arm: str) -> Experiment:
    found = hpo_experiment(trial, arm=arm)
    model = found.model.model_copy(update={"dtype": "bfloat16"})
    adapter = found.adapter.model_copy(update={"basis": None})
    return found.model_copy(update={"model": model, "adapter": adapter})


def main() -> None:
    """Searches and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--privacy", action="store_true", help="DP-SGD at ε = 8")
    parser.add_argument("--output", type=Path, default=Path("runs/hpo-search"))
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    sys.stdout.write(json_text(search(options.output, private=options.privacy)) + "\n")


if __name__ == "__main__":
    main()
