"""What does a phone get out of gossip: a node ten times slower that trains a tenth of the time, a few records a step?

    {alone, gossip} × seeds: accuracy of the phone on the common test set at the end, its training being the same
    gain = gossip − alone, seed by seed, with its 95% interval

python -m gossipfl.studies.phone [--experiment FILE] [--seeds N] [--output DIR] [--json]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError, DataError
from gossipfl.report.runs import read_runs
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.study_options import end_with, seeds_parser
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


def run_study(experiment: Path, seeds: int, output: Path, overrides: Sequence[str] = ()) -> Found:
    """What all seeds say, which is in the folder too, as JSON.

    Raises:
        UserError: whatever is wrong with the experiment, the number of seeds or the folder.
    """
    if seeds < 1:
        raise ConfigError("--seeds: one seed at least was expected")
    make_new_folder(output)
    found = found_in([trial(experiment, output, seed=seed, overrides=overrides) for seed in range(seeds)])
    (output / "result.json").write_text(json_text(found) + "\n")
    return found


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the study once and prints its table."""
    parser = seeds_parser(__doc__, name="phone", seeds=5)
    parser.set_defaults(experiment=Path("experiments/straggler.yaml"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--json", action="store_true", help="figures as one JSON object")
    given = parser.parse_args(arguments)

    def work() -> str:
        found = run_study(given.experiment, given.seeds, given.output or default_folder("phone"), given.overrides)
        return json_text(found) if given.json else table(found)

    end_with(work, resumes=False)


if __name__ == "__main__":
    main()
