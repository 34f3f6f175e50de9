"""Flower's own simulation: its runtime hands messages to the actors of a local Ray cluster.

    this process  ── starts ──>  simulated_server  ── Ray ──>  actors
                  <── JSON lines: progress, and at last the outcome or what went wrong

Ray and Flower end a process when they are in trouble, and hang in others: so they have one of their own.
"""

import importlib.util
import sys

from gossipfl.baseline.processes import family
from gossipfl.baseline.recorder import Outcome
from gossipfl.baseline.trial import Trial
from gossipfl.baseline.voice import follow
from gossipfl.errors import ConfigError, TrainingError

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
        outcome = follow(child.stdout or (), trial.show)
    if outcome is None:
        log = trial.directory.path / LOG
        raise TrainingError(f"Flower's simulation ended with code {child.wait()} and no result; see {log}")
    return outcome
