"""The command line of a study that is a comparison and its reading."""

import argparse
from pathlib import Path

from gossipfl.runs.default_folder import default_folder


def study_options(description: str | None, *, name: str, quick: str | None = None) -> argparse.Namespace:
    """experiment, quick, output, resume, as the user has given them.

    Args:
        name: of the experiment's file, and of the folder where none is given.
        quick: what `--quick` leaves out; None: there is none.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, default=Path(f"experiments/{name}.yaml"))
    if quick is not None:
        parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--output", type=Path, help=f"default: runs/{name}-TIME")
    parser.add_argument("--resume", action="store_true", help="go on with a study that was stopped")
    options = parser.parse_args()
    options.output = options.output or default_folder(name)
    return options
