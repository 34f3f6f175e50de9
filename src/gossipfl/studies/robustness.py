"""Two attackers among twenty nodes: what each attack costs plain gossip, and what robust mixing costs and saves.

    parts: attacks × mixings × seeds ── compare, a part at a time ──> reading.md

python -m gossipfl.studies.robustness [--parts digits,dumbbell] [--seeds N] [--quick] [--output DIR] [--resume]
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from gossipfl.config.loading import LoadedExperiment, load_experiment
from gossipfl.errors import ConfigError
from gossipfl.runs.default_folder import default_folder
from gossipfl.studies.compare import compare
from gossipfl.studies.compare_here import open_here
from gossipfl.studies.compare_plan import with_table
from gossipfl.studies.robustness_arms import PARTS, QUICK, Part
from gossipfl.studies.robustness_data import prepare_part
from gossipfl.studies.robustness_reading import reading
from gossipfl.studies.show_runs import show_runs
from gossipfl.studies.study_options import Terms, check_output, command_line, end_with

NAME = "robustness"
READING = "reading.md"


def run_study(experiments: Path, output: Path, parts: Mapping[str, Part], terms: Terms) -> str:
    """Runs all arms of these parts; their reading, as markdown, which is in the folder too.

    Args:
        experiments: folder of the experiments' files.

    Raises:
        UserError: see `compare`.
    """
    check_output(output, resume=terms.resume)
    said: list[str] = []
    for name, part in parts.items():
        loaded = with_table(_loaded(experiments, part), part.table)
        show = show_runs(name)
        found = compare(
            loaded, output / name, resume=terms.resume, command=terms.command, show=show, executor=open_here
        )
        said.append(reading(found, part))
        (output / READING).write_text("\n".join(said))
    return "\n".join(said)


def parts_of(names: str, seeds: int | None = None) -> dict[str, Part]:
    """By their names, with commas between them, in the study's order.

    Args:
        seeds: how many of each part's; None: all.

    Raises:
        ConfigError: there is no such part.
    """
    wished = names.split(",")
    unknown = [name for name in wished if name not in PARTS]
    if unknown:
        raise ConfigError(f"--parts: {unknown[0]!r} is unknown; there are {', '.join(PARTS)}")
    return {name: replace(part, seeds=part.seeds[:seeds]) for name, part in PARTS.items() if name in wished}


def _loaded(experiments: Path, part: Part) -> LoadedExperiment:
    return prepare_part(load_experiment(experiments / f"{part.experiment}.yaml"))


def main() -> NoReturn:
    """Runs the study once and prints its reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=Path, default=Path("experiments"), help="default: %(default)s")
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--seeds", type=int, help="how many of each part's; default: all")
    parser.add_argument("--quick", action="store_true", help="digits only, two attacks, two seeds")
    parser.add_argument("--output", type=Path, help=f"default: runs/{NAME}-TIME")
    parser.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    options = parser.parse_args()

    def work() -> str:
        parts = QUICK if options.quick else parts_of(options.parts, options.seeds)
        terms = Terms(command_line(), options.resume)
        return run_study(options.experiments, options.output or default_folder(NAME), parts, terms)

    end_with(work)


if __name__ == "__main__":
    main()
