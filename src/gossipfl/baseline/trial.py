"""One run of the baseline: what all modes are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from gossipfl.baseline.client import Duties
from gossipfl.baseline.recorder import ServerRecorder
from gossipfl.baseline.same_experiment import terms_of
from gossipfl.baseline.server import Server
from gossipfl.config.experiment import Experiment
from gossipfl.config.growing import refuse_periods
from gossipfl.config.loading import load_experiment, parse_experiment
from gossipfl.config.yaml_text import read_text
from gossipfl.core.work import build_work
from gossipfl.learning.bench import Bench
from gossipfl.runs.compute import build_duration
from gossipfl.runs.fleet import Fleet, build_fleet
from gossipfl.runs.progress import Progress
from gossipfl.runs.roster import Roster
from gossipfl.runs.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Trial:
    """A run that is about to begin.

    Attributes:
        roster: whose data it is.
        directory: where it is recorded.
        show: told after each round how far it is.
    """

    experiment: Experiment
    roster: Roster
    directory: RunDirectory
    show: Callable[[Progress], None]

    @property
    def duties(self) -> Duties:
        """What clients do in a round."""
        return duties_of(self.experiment)


def open_trial(run: Path, folder: Path, show: Callable[[Progress], None]) -> Trial:
    """The trial again, in a process that was started for it.

    Args:
        run: its folder, in which config.yaml lies.
        folder: what the experiment's relative paths refer to.
    """
    config = run / "config.yaml"
    experiment = load_experiment(config).experiment
    directory = RunDirectory(run, read_text(config), resume=True)
    return Trial(experiment, Roster(experiment.simulation.names, folder), directory, show)


def server_of(trial: Trial, *, at_least: int | None = None) -> Server:
    """The server of a trial whose clients are elsewhere.

    Args:
        at_least: see `Server`.
    """
    # of the nodes one suffices for where all start and for the common test set
    fleet = Staff(trial.experiment, trial.roster, trial.roster.names[:1]).fleet
    recorder = ServerRecorder(trial.experiment, trial.directory, fleet.judge_mean, trial.show)
    return Server(trial.experiment, fleet.initial, recorder, terms_of(fleet.resident.adapted), at_least)


def duties_of(experiment: Experiment) -> Duties:
    """What clients do in a round of an experiment."""
    flower = experiment.flower
    return Duties(
        work=partial(build_work, experiment.gossip),
        step_s=_step_s(experiment),
        by_examples=flower.weighting == "examples",
        train_loss=flower.strategy == "QFedAvg",
    )


def _step_s(experiment: Experiment) -> Callable[[int], float]:
    """Virtual seconds of a client's step, by its number: the median, where they vary by chance."""
    median = experiment.simulation.compute.model_copy(update={"spread": 0.0})
    names, duration = experiment.simulation.names, build_duration(median, np.random.default_rng(0))
    return lambda number: duration(names[number], 1)


class Staff:
    """The learners of some clients, in one process.

    Attributes:
        fleet: those learners, at one model.
    """

    def __init__(self, experiment: Experiment, roster: Roster, nodes: Sequence[str]) -> None:
        refuse_periods(experiment)
        self._names = roster.names
        self.fleet: Fleet = build_fleet(experiment, roster, nodes)

    def bench(self, number: int) -> Bench:
        """See `client.Workplace`."""
        return self.fleet.benches[self._names[number]]


@cache
def staff_of(text: str, folder: Path) -> Staff:
    """The learners of all clients, made once in a process that Flower has started.

    Args:
        text: the experiment, everything resolved.
        folder: what its relative paths refer to.
    """
    experiment = parse_experiment(text, source="the run's config.yaml")
    names = experiment.simulation.names
    return Staff(experiment, Roster(names, folder), names)
