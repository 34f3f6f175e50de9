"""One node ten times slower: how long until the others are as good as without it?

    {wait_free, sync} × {all alike, one slow}: virtual seconds until the mean accuracy of all nodes reaches the goal
    price = with the slow node / without it

python -m gossipfl.studies.straggler [--experiment FILE] [--goal .85] [--factor 10] [--seeds N] [--output DIR]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import DataError
from gossipfl.sim.simulate import simulate
from gossipfl.studies.new_folder import make_new_folder

PROTOCOLS = ("wait_free", "sync")
SLOW = "n5"
"""The slow node; on a ring all places are alike."""
GOAL, FACTOR = 0.85, 10.0


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
            terms, [f"gossip.protocol={protocol}", f"seed={seed}", *slow], output / f"{protocol}-{seed}-{label}"
        )
        for label, slow in (("alike", []), ("slow", [f"simulation.compute.slow={{{SLOW}: {terms.factor:g}}}"]))
    )
    return Race(protocol, seed, without_s, with_s)


def _until_goal(terms: Terms, overrides: Sequence[str], output: Path) -> float:
    loaded = load_experiment(terms.experiment, [*terms.overrides, *overrides])
    simulate(loaded, output)
    best = 0.0
    for line in (output / "metrics.jsonl").read_text().splitlines():
        figures = json.loads(line)
        best = max(best, figures["test_accuracy"])
        if best >= terms.goal:
            return float(figures["virtual_s"])
    raise DataError(f"goal {terms.goal:g} is never reached: the best mean accuracy of {output} is {best:.3f}")


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
    output = given.output or Path("runs") / f"straggler-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    make_new_folder(output)
    terms = Terms(given.experiment, given.goal, given.factor)
    races = [race(terms, protocol, output, seed=seed) for protocol in PROTOCOLS for seed in range(given.seeds)]
    (output / "result.json").write_text(json_text(races) + "\n")
    sys.stdout.write(table(races) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
