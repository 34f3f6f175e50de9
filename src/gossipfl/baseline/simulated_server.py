"""The process in which Flower's simulation runs: `python -m gossipfl.baseline.simulated_server RUN FOLDER`.

stdout is for JSON lines to whoever started it, see `voice`; Flower's own lines go to stderr.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import IO

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from gossipfl.baseline.client import client_app
from gossipfl.baseline.recorder import Outcome
from gossipfl.baseline.trial import open_trial, server_of, staff_of
from gossipfl.baseline.voice import Voice
from gossipfl.config.loading import dump_experiment
from gossipfl.errors import UserError


def main(run: Path, folder: Path) -> None:
    """Runs the experiment in a run's folder."""
    voice = Voice(_stdout_to_oneself())
    voice.tell(lambda: _simulated(run, folder, voice))


def _stdout_to_oneself() -> IO[str]:
    """stdout, where from now on nobody else writes: libraries print, and what they print goes to stderr."""
    file = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return file


def _simulated(run: Path, folder: Path, voice: Voice) -> Outcome:
    trial = open_trial(run, folder, voice.progress)
    simulation, text = trial.experiment.simulation, dump_experiment(trial.experiment)
    results: list[Outcome | UserError] = []
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, _context: Context) -> None:
        try:
            results.append(server_of(trial).serve(grid))
        except UserError as error:
            # raised here it would be a traceback in Flower's log
            results.append(error)

    run_simulation(
        server_app,
        client_app(partial(staff_of, text, folder), trial.duties),
        simulation.nodes,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0},
            # a cluster that somebody else has on this machine is not joined
            "init_args": {"address": "local", "num_cpus": simulation.actors, "log_to_driver": False},
        },
    )
    (result,) = results
    if isinstance(result, UserError):
        raise result
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
