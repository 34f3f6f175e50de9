"""A node that joins late: how far behind the others is it, 2·log₂ n phases after it came?

    n nodes ── the last joins when the others have done some twenty phases ── points behind the veterans' mean, by phase

python -m gossipfl.studies.newcomer [--experiment FILE] [--nodes 8,16,32,64] [--seeds N] [--output DIR]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import NoReturn

from gossipfl.config.loading import load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import ConfigError, DataError
from gossipfl.report.measures import by_node
from gossipfl.report.runs import read_runs
from gossipfl.report.tables import markdown_table
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.new_folder import make_new_folder
from gossipfl.studies.study_options import end_with, seeds_parser
from gossipfl.studies.whole_run import simulate_to_the_end

SIZES = (8, 16, 32, 64)
JOINS_S = 100.0
"""Virtual seconds after which the last node joins: some twenty phases of the others in experiments/newcomer.yaml."""


@dataclass(frozen=True, slots=True)
class Joined:
    """How one newcomer did.

    Attributes:
        nodes: all, with the newcomer.
        phase: of the newcomer, 2·log₂ of the nodes.
        veterans: mean test accuracy of the others then.
        first, behind: points of accuracy by which the newcomer is behind that mean, minus: ahead, at the first
            evaluation behind its first phase and behind that one.
        worst: points by which the worst veteran is behind it then.
    """

    nodes: int
    seed: int
    phase: int
    veterans: float
    first: float
    behind: float
    worst: float


def join(experiment: Path, nodes: int, output: Path, *, seed: int) -> Joined:
    """One simulation.

    Raises:
        DataError: the run ends before the newcomer has done its phases.
        UserError: whatever is wrong with the experiment.
    """
    sets = [f"seed={seed}", f"simulation.nodes={nodes}", f"simulation.availability.joins={{n{nodes - 1}: {JOINS_S}}}"]
    loaded = load_experiment(experiment, sets)
    simulate_to_the_end(loaded, output)
    (run,) = read_runs([output])
    accuracy, steps = 100 * by_node(run, "test_accuracy"), by_node(run, "step")[:, -1]
    done = steps / loaded.experiment.training.local_steps
    phase = math.ceil(2 * math.log2(nodes))
    if done.max() < phase:
        raise DataError(
            f"{output}: the newcomer did {done.max():.0f} of {phase} phases; a later simulation.until_s was expected"
        )
    first, then = ((done >= wanted).argmax() for wanted in (1, phase))
    others = accuracy[:, :-1]
    behind = others.mean(axis=1) - accuracy[:, -1]
    return Joined(
        nodes=nodes,
        seed=seed,
        phase=phase,
        veterans=float(others[then].mean()),
        first=float(behind[first]),
        behind=float(behind[then]),
        worst=float(others[then].mean() - others[then].min()),
    )


def table(found: Sequence[Joined]) -> str:
    """As Markdown, a row a number of nodes: means and standard deviations over the seeds."""
    rows = []
    for nodes in sorted({each.nodes for each in found}):
        own = [each for each in found if each.nodes == nodes]
        cells = (_spread([getattr(each, name) for each in own]) for name in ("veterans", "first", "behind", "worst"))
        rows.append([str(nodes), str(own[0].phase), *cells])
    head = ["nodes", "2·log₂ n", "veterans, %", "behind after a phase", "behind after 2·log₂ n", "worst veteran behind"]
    return markdown_table(head, rows)


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}".replace("-", "−")


def run_study(experiment: Path, sizes: Sequence[int], seeds: int, output: Path) -> str:
    """The table, which is in the folder too, as JSON.

    Raises:
        UserError: whatever is wrong with the experiment, the numbers or the folder.
    """
    if seeds < 1 or min(sizes) < 3:
        raise ConfigError("--nodes, --seeds: three nodes and one seed at least were expected")
    make_new_folder(output)
    found = [join(experiment, nodes, output / f"{nodes}-{seed}", seed=seed) for nodes in sizes for seed in range(seeds)]
    (output / "result.json").write_text(json_text(found) + "\n")
    return table(found)


def main() -> NoReturn:
    """Runs the study once and prints its table."""
    parser = seeds_parser(__doc__, name="newcomer", seeds=5)
    parser.add_argument("--nodes", default=",".join(map(str, SIZES)), help="default: %(default)s")
    given = parser.parse_args()

    def work() -> str:
        if not all(each.isdecimal() for each in given.nodes.split(",")):
            raise ConfigError(f"--nodes {given.nodes}: numbers with commas between them were expected")
        sizes = [int(each) for each in given.nodes.split(",")]
        return run_study(given.experiment, sizes, given.seeds, given.output or default_folder("newcomer"))

    end_with(work, resumes=False)


if __name__ == "__main__":
    main()
