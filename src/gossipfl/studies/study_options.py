"""The command line of a study that is a comparison and its reading."""

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gossipfl.errors import DataError, GossipflError, UserError
from gossipfl.runs.default_folder import default_folder


def study_options(description: str | None, *, name: str, quick: str | None = None) -> argparse.Namespace:
    """experiment, quick, output, resume, as the user has given them, and `command`: the exact command.

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
    options.command = command_line()
    return options


def seeds_parser(description: str | None, *, name: str, seeds: int) -> argparse.ArgumentParser:
    """For a study that goes over seeds: experiment, seeds, output.

    Args:
        name: of the experiment's file, and of the folder where none is given.
        seeds: how many by default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    experiment = Path(f"experiments/{name}.yaml")
    parser.add_argument("--experiment", type=Path, default=experiment, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=seeds, help="how many, from 0 on; default: %(default)s")
    parser.add_argument("--output", type=Path, help=f"default: runs/{name}-TIME")
    return parser


def command_line() -> str:
    """The exact command that runs this process."""
    return shlex.join(sys.orig_argv)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a study is run.

    Attributes:
        command: how it was called, for the report.
        resume: its folder is that of one that was stopped.
    """

    command: str
    resume: bool = False


def check_output(output: Path, *, resume: bool) -> None:
    """Whether a study may begin in this folder.

    Raises:
        DataError: there is something in it, and it is not to be gone on with.
    """
    if not resume and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(f"--output {output} is not empty; --resume goes on with a study that was stopped")


def end_with(work: Callable[[], str], *, resumes: bool = True) -> NoReturn:
    """Prints what the work gives; a user's mistake is one line and exit code 2, Ctrl-C 130.

    Args:
        resumes: the study has --resume.
    """
    try:
        sys.stdout.write(work() + "\n")
    except GossipflError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, UserError) else 1)
    except KeyboardInterrupt:
        how = "go on with --resume and the same --output" if resumes else "it begins anew, with another --output"
        sys.stderr.write(f"stopped; {how}\n")
        sys.exit(130)
    sys.exit(0)
