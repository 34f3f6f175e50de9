"""The process in which Flower's simulation runs: `python -m gossipfl.baseline.simulated_server RUN FOLDER`.

stdout is for JSON lines to whoever started it, see `simulation.follow`; Flower's own lines go to stderr.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from gossipfl.baseline.client import client_app
from gossipfl.baseline.recorder import Outcome, ServerRecorder
from gossipfl.baseline.server import Server
from gossipfl.baseline.trial import Staff, duties_of, staff_of
from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import dump_experiment, load_experiment
from gossipfl.core.json_text import json_text
from gossipfl.errors import UserError
from gossipfl.runs.fleet import Roster
from gossipfl.runs.progress import Progress
from gossipfl.runs.run_directory import RunDirectory


class Voice:
    """Says JSON lines where nobody else writes: stdout itself is turned to stderr, since libraries print."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(self, message: Mapping[str, object]) -> None:
        """One line, at once."""
        print(json_text(message), file=self._file, flush=True)

    def progress(self, now: Progress) -> None:
        """How far the run is."""
        self.say({"progress": asdict(now)})


def main(run: Path, folder: Path) -> None:
    """Runs the experiment in a run's folder."""
    voice = Voice()
    try:
        outcome = _simulated(run, folder, voice)
    except UserError as error:
        voice.say({"error": {"kind": type(error).__name__, "message": str(error)}})
    else:
        voice.say({"outcome": asdict(outcome)})


def _simulated(run: Path, folder: Path, voice: Voice) -> Outcome:
    experiment = load_experiment(run / "config.yaml").experiment
    simulation, text = experiment.simulation, dump_experiment(experiment)
    directory = RunDirectory(run, text, resume=True)
    results: list[Outcome | UserError] = []
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, _context: Context) -> None:
        try:
            results.append(_server(experiment, folder, directory, voice).serve(grid))
        except UserError as error:
            # raised here it would be a traceback in Flower's log
            results.append(error)

    run_simulation(
        server_app,
        client_app(partial(staff_of, text, folder), duties_of(experiment)),
        simulation.nodes,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0},
            "init_args": {"num_cpus": simulation.actors, "log_to_driver": False},
        },
    )
    (result,) = results
    if isinstance(result, UserError):
        raise result
    return result


def _server(experiment: Experiment, folder: Path, directory: RunDirectory, voice: Voice) -> Server:
    names = experiment.simulation.names
    # of the nodes one suffices for where all start and for the common test set
    fleet = Staff(experiment, Roster(names, folder), names[:1]).fleet
    recorder = ServerRecorder(experiment, directory, fleet.judge_mean, voice.progress)
    return Server(experiment, fleet.initial, recorder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
