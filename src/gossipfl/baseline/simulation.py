"""Flower's own simulation: its runtime hands messages to the actors of a local Ray cluster.

    this process  ── starts ──>  simulated_server  ── Ray ──>  actors
                  <── JSON lines: progress, and at last the outcome or what went wrong

Ray and Flower end a process when they are in trouble, and hang in others: so they have one of their own.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from gossipfl import errors
from gossipfl.baseline.processes import family
from gossipfl.baseline.recorder import Outcome
from gossipfl.baseline.trial import Trial
from gossipfl.errors import ConfigError, TrainingError
from gossipfl.runs.progress import Progress

LOG = "flower.log"
"""In the run's folder: what Flower and Ray had to say."""


def run_simulated(trial: Trial) -> Outcome:
    """All rounds of a trial.

    Raises:
        ConfigError: Ray is not installed.
        TrainingError: Flower ended without a result.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--mode simulation needs the extra `ray` too: pip install 'gossipfl[flower,ray]'")
    command = [sys.executable, "-m", "gossipfl.baseline.simulated_server"]
    command += [str(trial.directory.path.absolute()), str(trial.roster.folder.absolute())]
    with family({}) as members:
        child = members.start(command, trial.directory.path / LOG, piped=True)
        outcome = follow(child, trial.show)
    if outcome is None:
        log = trial.directory.path / LOG
        raise TrainingError(f"Flower's simulation ended with code {child.wait()} and no result; see {log}")
    return outcome


def follow(child: "subprocess.Popen[str]", show: Callable[[Progress], None]) -> Outcome | None:
    """Reads what a server says until it is through; None when it says nothing more.

    Raises:
        UserError: what it ended with.
    """
    for line in child.stdout or ():
        match json.loads(line):
            case {"progress": dict(values)}:
                show(Progress(**values))
            case {"outcome": dict(values)}:
                return Outcome(**values)
            case {"error": {"kind": str(kind), "message": str(message)}}:
                raise _error(kind, message)
    return None


def _error(kind: str, message: str) -> Exception:
    known: Mapping[str, Any] = vars(errors)
    found: Exception = known[kind](message)
    return found
