"""One node ten times slower: how long until the others are as good as without it?

    {wait_free, sync} × {all alike, one slow}: virtual seconds until the mean accuracy of all nodes reaches the goal
    price = with the slow node / without it
    straggler.png, straggler.svg: accuracy against virtual time, and when each run reaches the goal

python -m gossipfl.studies.straggler [--experiment FILE] [--goal .85] [--factor 10] [--seeds N] [--output DIR]
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DataError
from gossipfl.report.measures import first_at_least
from gossipfl.report.pictures import save_formats
from gossipfl.report.race_picture import Entrant, draw_race
from gossipfl.report.runs import read_runs
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.whole_run import simulate_to_the_end

PROTOCOLS = ("wait_free", "sync")
SLOW = "n5"
"""The slow node; on a ring all places are alike."""
GOAL, FACTOR = 0.85, 10.0
ALIKE, ONE_SLOW = "alike", "slow"
"""Of the two simulations of a race; a part of their folders' names."""


@dataclass(frozen=True, slots=True)
class Race:
    """One protocol, with and without the slow node.

    Attributes:
        without_s, with_s: virtual seconds until the goal.
    """

    protocol: str
    seed: int
    without_s: float
    with_s: float

    @property
    def price(self) -> float:
        """How many times as long the slow node makes it."""
        return self.with_s / self.without_s


@dataclass(frozen=True, slots=True)
class Terms:
    """What is measured.

    Attributes:
        experiment: experiment.yaml with a common test set.
        goal: mean accuracy of all nodes on it.
        factor: how many times as long the slow node takes.
        overrides: `a.b=value` for the experiment.
    """

    experiment: Path
    goal: float = GOAL
    factor: float = FACTOR
    overrides: Sequence[str] = ()


def race(terms: Terms, protocol: str, output: Path, *, seed: int) -> Race:
    """Two simulations of one protocol.

    Args:
        output: folder for both.

    Raises:
        DataError: one never reaches the goal.
        UserError: whatever is wrong with the experiment.
    """
    without_s, with_s = (
        _until_goal(
            terms, [f"gossip.protocol={protocol}", f"seed={seed}", *slow], _folder(output, protocol, seed, label)
        )
        for label, slow in ((ALIKE, []), (ONE_SLOW, [f"simulation.compute.slow={{{SLOW}: {terms.factor:g}}}"]))
    )
    return Race(protocol, seed, without_s, with_s)


def _folder(output: Path, protocol: str, seed: int, label: str) -> Path:
    return output / f"{protocol}-{seed}-{label}"


def _until_goal(terms: Terms, overrides: Sequence[str], output: Path) -> float:
    loaded = load_experiment(terms.experiment, [*terms.overrides, *overrides])
    simulate_to_the_end(loaded, output)
    (run,) = read_runs([output])
    reached_s = first_at_least(run, "test_accuracy", terms.goal)
    if reached_s is None:
        best = max(summary.test_accuracy for summary, _ in run.evaluations)
        raise DataError(f"goal {terms.goal:g} is never reached: the best mean accuracy of {output} is {best:.3f}")
    return reached_s


def draw(races: Sequence[Race], terms: Terms, output: Path) -> list[Path]:
    """Writes the picture of races that were run into this folder, one panel a protocol; gives the files.

    Raises:
        OSError: a file cannot be written.
    """
    kinds = {ALIKE: "all alike", ONE_SLOW: f"one node {terms.factor:g} times slower"}
    panels: dict[str, list[Entrant]] = {}
    for each in races:
        folders = [_folder(output, each.protocol, each.seed, label) for label in kinds]
        runs = zip(kinds.values(), read_runs(folders), (each.without_s, each.with_s), strict=True)
        panels.setdefault(each.protocol, []).extend(Entrant(*entrant) for entrant in runs)
    return save_formats(draw_race(panels, goal=terms.goal), output, "straggler")


def table(races: Sequence[Race]) -> str:
    """As Markdown."""
    rows = [f"| `{r.protocol}` | {r.seed} | {r.without_s:.1f} | {r.with_s:.1f} | {r.price:.2f} |" for r in races]
    head = [
        "| protocol | seed | all alike, virtual s | one slow, virtual s | price |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, default=Path("experiments/straggler.yaml"))
    parser.add_argument("--goal", type=float, default=GOAL)
    parser.add_argument("--factor", type=float, default=FACTOR)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--output", type=Path, default=None)
    given = parser.parse_args(arguments)
    output = given.output or default_folder("straggler")
    make_new_folder(output)
    terms = Terms(given.experiment, given.goal, given.factor)
    races = [race(terms, protocol, output, seed=seed) for protocol in PROTOCOLS for seed in range(given.seeds)]
    (output / "result.json").write_text(json_text(races) + "\n")
    sys.stdout.write("\n".join([table(races), "", *map(str, draw(races, terms, output))]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
