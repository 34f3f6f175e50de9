"""What does a phone get out of gossip: a node ten times slower that trains a tenth of the time, a few records a step?

    {alone, gossip} × seeds: accuracy of the phone on the common test set at the end, its training being the same
    gain = gossip − alone, seed by seed, with its 95% interval

python -m gossipfl.studies.phone [--experiment FILE] [--seeds N] [--output DIR] [--json]
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DataError
from gossipfl.report.runs import read_runs
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.whole_run import simulate_to_the_end

PHONE = "n5"
"""On a ring all places are alike."""
SLOW = 10
MACHINE = "{batch_size: 4, local_seconds: 4, train_share: 0.1}"
"""By the median four steps in four seconds, where others do five in half a second."""
ALONE, GOSSIP = "alone", "wait_free"


@dataclass(frozen=True, slots=True)
class Trial:
    """The phone in one seed.

    Attributes:
        alone, gossip: its accuracy on the common test set at the end.
        others: mean accuracy of all other nodes, in gossip with it.
    """

    seed: int
    alone: float
    gossip: float
    others: float


@dataclass(frozen=True, slots=True)
class Found:
    """What all seeds say.

    Attributes:
        gain: of gossip over training alone.
    """

    trials: tuple[Trial, ...]
    gain: Difference


def trial(experiment: Path, output: Path, *, seed: int, overrides: Sequence[str] = ()) -> Trial:
    """Two simulations of one seed.

    Raises:
        DataError: the experiment has no common test set.
        UserError: whatever is wrong with it.
    """
    alone, _ = _accuracies(experiment, ALONE, output, seed, overrides)
    gossip, others = _accuracies(experiment, GOSSIP, output, seed, overrides)
    return Trial(seed, alone, gossip, others)


def _accuracies(
    experiment: Path, protocol: str, output: Path, seed: int, overrides: Sequence[str]
) -> tuple[float, float]:
    """Of the phone, and of the others in the mean."""
    own = [f"simulation.machines={{{PHONE}: {MACHINE}}}", f"simulation.compute.slow={{{PHONE}: {SLOW}}}"]
    named = [f"gossip.protocol={protocol}", f"seed={seed}", *own, *overrides]
    folder = output / f"{protocol}-{seed}"
    loaded = load_experiment(experiment, named)
    simulate_to_the_end(loaded, folder)
    (run,) = read_runs([folder])
    columns = run.evaluations[-1].columns.test_accuracy
    if not columns:
        raise DataError("data.test_share: a common test set was expected, by which the phone is measured")
    found = dict(zip(loaded.experiment.simulation.names, columns, strict=True))
    phone = found.pop(PHONE)
    return _number(phone), float(np.mean([_number(each) for each in found.values()]))


def _number(accuracy: float | None) -> float:
    return math.nan if accuracy is None else accuracy


def found_in(trials: Sequence[Trial]) -> Found:
    """What they say together."""
    alone, gossip = ({each.seed: getattr(each, name) for each in trials} for name in ("alone", "gossip"))
    return Found(tuple(trials), paired_difference(gossip, alone))


def table(found: Found) -> str:
    """As Markdown."""
    rows = [f"| {each.seed} | {each.alone:.3f} | {each.gossip:.3f} | {each.others:.3f} |" for each in found.trials]
    gain = found.gain
    interval = "" if gain.low is None or gain.high is None else f", 95% interval {gain.low:.3f} to {gain.high:.3f}"
    said = f"gain {gain.mean or 0.0:.3f}{interval}, {gain.pairs} seeds"
    return "\n".join(
        ["| seed | phone alone | phone in gossip | others |", "| --- | --- | --- | --- |", *rows, "", said]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, default=Path("experiments/straggler.yaml"))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    given = parser.parse_args(arguments)
    output = given.output or default_folder("phone")
    make_new_folder(output)
    seeds = range(given.seeds)
    found = found_in([trial(given.experiment, output, seed=seed, overrides=given.overrides) for seed in seeds])
    (output / "result.json").write_text(json_text(found) + "\n")
    sys.stdout.write((json_text(found) if given.json else table(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
