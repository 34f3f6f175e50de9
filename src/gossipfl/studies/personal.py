"""Does a model of its own help a node on its own data, where nodes' data differ?

    alone          P + Q phases, no neighbor
    global         P + Q phases of gossip, plain
    private head   the same, the output layer staying at each node (adapter.private)
    tuned          P phases of gossip, then Q on own data
    interpolated   the same, moved back toward the mixed state by each node's own held-out loss (cross-fitted)

Every arm does as many steps, on the same data. Own: accuracy on each node's held-out part, mean over the nodes; common:
on the common test set. Intervals are of paired differences over the seeds.

python -m gossipfl.studies.personal [--experiment FILE] [--head PATTERN] [--seeds N] [--output DIR] [--resume] [--json]
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.report.statistics import Difference, estimate, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.runs.personal import FILE
from gossipfl.studies.study_options import check_output, end_with
from gossipfl.studies.whole_run import simulate_to_the_end

ARMS = ("alone", "global", "private head", "tuned", "interpolated")
METHODS = ARMS[2:]
"""Those that are to be better than the two others on a node's own data."""
BASELINES = ARMS[:2]
HEAD = "output.*"
"""The output layer of the builtin models."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of one seed; by node.

    Attributes:
        own: accuracy on the node's held-out part.
        common: on the common test set.
    """

    name: str
    seed: int
    own: tuple[float, ...]
    common: tuple[float, ...]


def run_seed(experiment: Path, output: Path, *, seed: int, head: str) -> list[Arm]:
    """All arms of one seed: three simulations; those that are done already are read.

    Raises:
        ConfigError: the experiment has no personal phases with a weight, or no accuracy to compare.
        UserError: whatever else is wrong with it.
    """
    base = load_experiment(experiment, [f"seed={seed}"]).experiment
    if not (base.personal.interpolate and base.personal.against_alone and base.task.labels):
        raise ConfigError(
            f"{experiment}: personal.phases with personal.interpolate and personal.against_alone, and a task of labels "
            "were expected"
        )
    plain = ["personal={}", f"training.phases={base.training.phases + base.personal.phases}"]
    runs = {"personal": [], "global": plain, "head": [*plain, f"adapter.private=[{json.dumps(head)}]"]}
    for name, sets in runs.items():
        simulate_to_the_end(load_experiment(experiment, [f"seed={seed}", *sets]), output / name, resume=True)
    own = json.loads((output / "personal" / FILE).read_text())
    return [
        _of_models(own, "alone", "alone", seed),
        _of_run(output / "global", "global", seed),
        _of_run(output / "head", "private head", seed),
        _of_models(own, "tuned", "tuned", seed),
        _of_models(own, "personal", "interpolated", seed),
    ]


def _of_models(found: Mapping[str, Any], model: str, arm: str, seed: int) -> Arm:
    own, common = (tuple(node[model][f"{part}_accuracy"] for node in found.values()) for part in ("own", "test"))
    return Arm(arm, seed, own, common)


def _of_run(folder: Path, arm: str, seed: int) -> Arm:
    last = json.loads((folder / "nodes.jsonl").read_text().splitlines()[-1])
    return Arm(arm, seed, tuple(last["own_accuracy"]), tuple(last["test_accuracy"]))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the arms come to, in points of accuracy.

    Attributes:
        differences: by method and baseline, of own data.
        better: part of all nodes and seeds of which a method is not below both baselines on own data.
    """

    arms: tuple[Arm, ...]
    differences: Mapping[str, Mapping[str, Difference]]
    better: Mapping[str, float]

    @property
    def claims(self) -> dict[str, bool]:
        """By method, whether it is above both baselines by more than the interval."""
        return {
            name: all(found.low is not None and found.low > 0 for found in by.values())
            for name, by in self.differences.items()
        }


def read_arms(arms: Sequence[Arm]) -> Reading:
    """Differences of all methods to both baselines."""
    means = {name: {arm.seed: 100 * float(np.mean(arm.own)) for arm in arms if arm.name == name} for name in ARMS}
    differences = {
        name: {other: paired_difference(means[name], means[other]) for other in BASELINES} for name in METHODS
    }
    nodes = {name: np.concatenate([arm.own for arm in arms if arm.name == name]) for name in ARMS}
    highest = np.maximum(*(nodes[name] for name in BASELINES))
    return Reading(tuple(arms), differences, {name: float((nodes[name] >= highest).mean()) for name in METHODS})


def table(reading: Reading) -> str:
    """As Markdown: a row an arm, and what is claimed below."""
    rows = [[name, *_figures(reading, name)] for name in ARMS]
    head = ["arm", "own, %", "common, %", "above alone", "above global", "nodes at or above both"]
    claims = [f"{name}: {'above' if holds else 'NOT above'} both" for name, holds in reading.claims.items()]
    return f"{markdown_table(head, rows)}\n\n{'; '.join(claims)} (95% intervals of paired differences on own data)"


def _figures(reading: Reading, name: str) -> list[str]:
    arms = [arm for arm in reading.arms if arm.name == name]
    cells = [_spread([100 * float(np.mean(getattr(arm, part))) for arm in arms]) for part in ("own", "common")]
    if name not in reading.differences:
        return [*cells, "", "", ""]
    above = [_interval(reading.differences[name][other]) for other in BASELINES]
    return [*cells, *above, f"{100 * reading.better[name]:.0f}%"]


def _spread(values: Sequence[float]) -> str:
    found = estimate(values)
    return f"{found.mean:.1f}" + ("" if found.std is None else f" ± {found.std:.1f}")


def _interval(found: Difference) -> str:
    text = f"{found.mean:+.1f}" + ("" if found.low is None else f" ({found.low:+.1f} to {found.high:+.1f})")
    return text.replace("-", "−")


def run_study(experiment: Path, seeds: int, output: Path, *, head: str = HEAD, resume: bool = False) -> Reading:
    """All seeds, from 0 on; the reading is in the folder too, as JSON.

    Raises:
        UserError: whatever is wrong with the experiment, the numbers or the folder.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds {seeds}: one at least was expected")
    check_output(output, resume=resume)
    arms = [arm for seed in range(seeds) for arm in run_seed(experiment, output / str(seed), seed=seed, head=head)]
    reading = read_arms(arms)
    (output / "result.json").write_text(json_text(as_json(reading)) + "\n")
    return reading


def as_json(reading: Reading) -> dict[str, Any]:
    """The keys of `--json`."""
    return {
        "arms": reading.arms,
        "differences": reading.differences,
        "better": dict(reading.better),
        "claims": reading.claims,
    }


def main() -> NoReturn:
    """Runs the study once and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--experiment", type=Path, default=Path("experiments/personal.yaml"), help="default: %(default)s"
    )
    parser.add_argument("--head", default=HEAD, help="what stays with a private head; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on; default: %(default)s")
    parser.add_argument("--output", type=Path, help="default: runs/personal-TIME")
    parser.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    given = parser.parse_args()

    def work() -> str:
        output = given.output or default_folder("personal")
        reading = run_study(given.experiment, given.seeds, output, head=given.head, resume=given.resume)
        return json_text(as_json(reading)) if given.json else table(reading)

    end_with(work)


if __name__ == "__main__":
    main()
