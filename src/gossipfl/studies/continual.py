"""A fifth of the nodes shift task in mid-run: how much of the old one is forgotten, by the way they go on?

    before   accuracy on the old task, at the nodes that shift, at the last evaluation before
    after    the same at the end        drop   before − after, in points        new   accuracy on what they shifted to

Plain gossip is `newest`: they train on what they have now. Intervals are 95% ones of means over seeds (Student's t); a
way has halved the drop where the interval of *its drop − ½ · that of newest*, seed by seed, lies below 0.

python -m gossipfl.studies.continual [--experiment FILE] [--seeds N] [--output DIR]
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NoReturn

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError
from gossipfl.report.statistics import Difference, paired_difference
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.study_options import end_with, seeds_parser
from gossipfl.studies.whole_run import simulate_to_the_end

PLAIN = "newest"
ARMS: Mapping[str, Sequence[str]] = {
    PLAIN: [],
    "all": ["training.continual=all"],
    "replay ¼": ["training.continual=replay", "training.replay_share=0.25"],
    "replay ½": ["training.continual=replay", "training.replay_share=0.5"],
    "proximal 1": ["training.continual=proximal", "training.proximal_mu=1"],
    "proximal 10": ["training.continual=proximal", "training.proximal_mu=10"],
    "merged": ["training.continual=merged"],
}
"""Ways to go on, by what differs from the experiment file."""


@dataclass(frozen=True, slots=True)
class Shifted:
    """How one run went, in percent.

    Attributes:
        before, after: on the old task, at the nodes that shift.
        new: on what they have shifted to, at the end.
        others: of the other nodes on what they have, at the end.
    """

    arm: str
    seed: int
    before: float
    after: float
    new: float
    others: float

    @property
    def drop(self) -> float:
        """Points forgotten of the old task."""
        return self.before - self.after


def shift(experiment: Path, arm: str, output: Path, *, seed: int) -> Shifted:
    """One simulation.

    Raises:
        ConfigError: the experiment has no periods.
        UserError: whatever is wrong with it.
    """
    loaded = load_experiment(experiment, [f"seed={seed}", "training.continual=newest", *ARMS[arm]])
    if loaded.experiment.simulation.periods is None:
        raise ConfigError("--experiment: simulation.periods was expected: which nodes shift, and when")
    simulate_to_the_end(loaded, output)
    return read(output, arm, seed)


def read(run: Path, arm: str, seed: int) -> Shifted:
    """What a run has recorded."""
    lines = [json.loads(line)["period_accuracy"] for line in (run / "nodes.jsonl").read_text().splitlines()]
    nodes = range(len(lines[-1]))
    shifting = [node for node in nodes if lines[-1][node][1] is not None]
    last = next(place for place, line in enumerate(lines) if line[shifting[0]][1] is not None) - 1
    others = [node for node in nodes if node not in shifting]

    def of(place: int, some: Sequence[int], period: int) -> float:
        return 100 * mean(float(lines[place][node][period]) for node in some)

    return Shifted(
        arm,
        seed,
        before=of(last, shifting, 0),
        after=of(-1, shifting, 0),
        new=of(-1, shifting, 1),
        others=of(-1, others, 0),
    )


def table(found: Sequence[Shifted]) -> str:
    """As Markdown, a row a way: means over the seeds, drops with their intervals."""
    plain = {each.seed: each.drop for each in found if each.arm == PLAIN}
    rows = []
    for arm in dict.fromkeys(each.arm for each in found):
        own = [each for each in found if each.arm == arm]
        drops = {each.seed: each.drop for each in own}
        drop = paired_difference(drops, dict.fromkeys(drops, 0.0))
        over_half = paired_difference(drops, {seed: value / 2 for seed, value in plain.items()})
        figures = (mean(getattr(each, name) for each in own) for name in ("before", "after"))
        ends = (mean(getattr(each, name) for each in own) for name in ("new", "others"))
        said = "" if arm == PLAIN else _said(over_half)
        rows.append(
            [arm, *(f"{value:.1f}" for value in figures), _interval(drop), *(f"{end:.1f}" for end in ends), said]
        )
    head = ["way", "old task before, %", "after, %", "drop, points", "new task, %", "others, %", "drop − ½ · newest's"]
    return markdown_table(head, rows)


def _interval(found: Difference) -> str:
    if found.low is None or found.high is None:
        return "" if found.mean is None else f"{found.mean:.1f}".replace("-", "−")
    return f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]".replace("-", "−")


def _said(found: Difference) -> str:
    halved = found.high is not None and found.high < 0
    return f"{_interval(found)}{', halved' if halved else ''}"


def run_study(experiment: Path, seeds: int, output: Path) -> str:
    """The table, which is in the folder too, as JSON by run.

    Raises:
        UserError: whatever is wrong with the experiment, the number or the folder.
    """
    if seeds < 1:
        raise ConfigError("--seeds: one seed at least was expected")
    make_new_folder(output)
    found = [
        shift(experiment, arm, output / f"{number}-{seed}", seed=seed)
        for number, arm in enumerate(ARMS)
        for seed in range(seeds)
    ]
    (output / "result.json").write_text(json_text(found) + "\n")
    return table(found)


def main() -> NoReturn:
    """Runs the study once and prints its table."""
    given = seeds_parser(__doc__, name="continual", seeds=5).parse_args()
    end_with(
        lambda: run_study(given.experiment, given.seeds, given.output or default_folder("continual")), resumes=False
    )


if __name__ == "__main__":
    main()
