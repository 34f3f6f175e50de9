"""A deployment's server at work. Settings: see `deployed_server`.

on trial     a run's folder as every other mode leaves it; progress and outcome go to the command that started all this
in earnest   no client says how good it is on private data, and the server has none: steps, bytes, ε, the adapter
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid

from gossipfl.baseline.flower_app import Settings
from gossipfl.baseline.muster import Mustered
from gossipfl.baseline.noise_check import check_earnest
from gossipfl.baseline.recorder import Outcome, ServerRecorder
from gossipfl.baseline.roll_call import call_roll
from gossipfl.baseline.same_experiment import terms_of
from gossipfl.baseline.server import Server
from gossipfl.baseline.strategies import check_strategy
from gossipfl.baseline.trial import open_trial, server_of
from gossipfl.baseline.voice import Voice
from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import load_experiment
from gossipfl.errors import DataError, TrainingError, UserError
from gossipfl.learning.bench import load_adapted
from gossipfl.learning.data import DataSite
from gossipfl.runs.progress import Progress
from gossipfl.runs.run_config import SERVER, run_config
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.state import AdapterState

LOG = "flower-server.log"
"""In the run's folder."""
logger = logging.getLogger(__name__)


def serve(grid: Grid, context: Context) -> None:
    """Runs all rounds."""
    settings = {key: value for key, value in context.run_config.items() if isinstance(value, str | bool)}
    (_serve_trial if settings["trial"] else _serve)(grid, settings)


def _serve_trial(grid: Grid, settings: Settings) -> None:
    run = Path(str(settings["output"]))
    _log_to(run / LOG)
    with Path(str(settings["told"])).open("a") as file:
        voice = Voice(file)
        voice.begun()

        def work() -> Outcome:
            trial = open_trial(run, Path(str(settings["folder"])), voice.progress)
            order = [int(node) for node in str(settings["order"]).split()]
            server = replace(server_of(trial, at_least=1), named=dict(zip(order, trial.roster.names, strict=True)))
            return _all_rounds(server, Mustered(grid, order, trial.experiment.flower.timeout_s))

        voice.tell(lambda: _explained(work))


def _serve(grid: Grid, settings: Settings) -> None:
    """In earnest: no client says how good it is on private data, and the server has none."""
    path, output = Path(str(settings["experiment"])), Path(str(settings["output"]))
    if output.exists():
        raise DataError(f"output {output} is there already: each run has a folder of its own, which is not there yet")
    experiment = load_experiment(path).experiment
    check_earnest(experiment)
    check_strategy(experiment)
    directory = RunDirectory(output, run_config(SERVER, experiment), resume=False)
    _log_to(output / LOG)
    folder = Path(str(settings["folder"] or path.parent))
    nodes, patience_s = experiment.simulation.nodes, experiment.flower.timeout_s

    def work() -> Outcome:
        server, mustered = _earnest(experiment, folder, directory), Mustered(grid, (), patience_s)
        mustered.wait_for(nodes)
        call_roll(mustered, server.terms, nodes, patience_s)
        return _all_rounds(server, mustered)

    with directory.alone():
        _explained(work)


def _earnest(experiment: Experiment, folder: Path, directory: RunDirectory) -> Server:
    names = experiment.simulation.names
    directory.write_origin(folder, experiment)
    directory.write_topology(names, lambda _name: ())
    adapted = load_adapted(experiment, DataSite("server", names, None, folder, folder))
    recorder = ServerRecorder(experiment, directory, _untested, _say)
    return Server(experiment, adapted.initial, recorder, terms_of(adapted), at_least=1)


def _untested(state: AdapterState, *, last: bool) -> None:  # the server has no data
    """There is no common test set."""


def _all_rounds(server: Server, grid: Mustered) -> Outcome:
    grid.wait_for(server.experiment.simulation.nodes)
    return server.serve(grid)


def _explained(work: Callable[[], Outcome]) -> Outcome:
    """A bug of ours or of Flower's leaves its traceback in the log and one line to the user; a mistake, that line."""
    try:
        return work()
    except UserError as error:
        logger.error("%s", error)  # noqa: TRY400  # one line, for the user
        raise
    except Exception as error:
        logger.exception("the server failed")
        raise TrainingError(f"Flower's server failed: {type(error).__name__}: {error}; see {LOG}") from error


def _say(now: Progress) -> None:
    logger.info("round %d after %.0f s, %d steps of all clients", now.rounds, now.seconds, now.steps)


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("gossipfl").setLevel(logging.INFO)
