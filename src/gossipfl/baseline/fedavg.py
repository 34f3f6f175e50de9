"""`gossipfl fedavg`: an experiment with a server, by Flower."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gossipfl.baseline.adapter_check import check_adapter
from gossipfl.baseline.environment import prepare
from gossipfl.baseline.noise_check import check_noise
from gossipfl.baseline.personal_check import check_personal
from gossipfl.config.experiment import Experiment
from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.tables import resolve
from gossipfl.runs import run_config as drivers
from gossipfl.runs.personal import personal_summary, write_personal
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult, final_figures
from gossipfl.runs.roster import Roster
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.runs.signals import undisturbed, unwound_once

if TYPE_CHECKING:
    from gossipfl.baseline.recorder import Outcome

logger = logging.getLogger(__name__)
MODES: Mapping[str, str] = {
    "inprocess": "gossipfl.baseline.inprocess:run_inprocess",
    "simulation": "gossipfl.baseline.simulation:run_simulated",
    "deployment": "gossipfl.baseline.deployment:run_deployed",
}
"""By the name in `--mode`; what each needs of Flower is imported when it is chosen."""


def fedavg(
    experiment: LoadedExperiment,
    output: Path,
    *,
    mode: str = "inprocess",
    resume: bool = False,
    show: Callable[[Progress], None] = lambda _: None,
) -> RunResult:
    """Runs an experiment with Flower's server in the middle: one client a node, a round a phase.

    Args:
        experiment: as `load_experiment` gives it; `simulation.nodes` is the number of clients.
        output: folder of the run, see `RunDirectory`.
        mode: name from `MODES`, or one's own as `module:callable`: it takes a `Trial` and gives an `Outcome`.
        resume: of a run that is done, the result again; one that was stopped begins anew.
        show: told after each round how far the run is.

    Raises:
        UserError: something is wrong that can be known before, no client can train, or the folder is another run's.
    """
    # one's own is imported later, when Flower's environment is prepared
    chosen = mode if ":" in mode else resolve(MODES, mode, field="--mode")
    check_noise(experiment.experiment)
    check_adapter(experiment.experiment)
    check_personal(experiment.experiment, mode)
    _warn_of_rests(experiment.experiment)
    directory = RunDirectory(output, drivers.run_config(drivers.fedavg(mode), experiment.experiment), resume=resume)
    earlier = directory.result()
    if earlier is not None:
        return earlier
    names = experiment.experiment.simulation.names
    with directory.alone(), _home() as home:
        # nothing is gone on from: lines of a stopped run are cut off
        directory.load(lambda _: None)
        directory.write_origin(experiment.folder, experiment.experiment)
        directory.write_topology(names, lambda _name: ())
        prepare(home)
        # Flower is imported by them
        from gossipfl.baseline.strategies import check_strategy  # noqa: PLC0415
        from gossipfl.baseline.trial import Trial  # noqa: PLC0415

        check_strategy(experiment.experiment)
        trial = Trial(experiment.experiment, Roster(names, experiment.folder), directory, show)
        own: Mapping[str, Callable[[Trial], Outcome]] = {}
        outcome = resolve(own, chosen, field="--mode")(trial)
    result = _result(experiment.experiment, outcome, mode, output)
    if outcome.personal is not None:
        write_personal(output, outcome.personal)
    directory.write_result(result.as_json())
    return result


def _warn_of_rests(experiment: Experiment) -> None:
    resting = [name for name, machine in experiment.simulation.machines.items() if machine.rests]
    if resting:
        logger.warning(
            "simulation.machines.%s: train_share and train_hours are for nodes with a pace of their own; here the "
            "server asks a client when it wants, and waits for it",
            resting[0],
        )


@contextmanager
def _home() -> Iterator[Path]:
    """A temporary folder for Flower's own files, gone when the context ends: by Ctrl-C, SIGTERM, SIGHUP too."""
    with unwound_once():
        folder = tempfile.TemporaryDirectory(prefix="gossipfl-flower-")
        try:
            yield Path(folder.name)
        finally:
            with undisturbed():
                folder.cleanup()


def _result(experiment: Experiment, outcome: "Outcome", mode: str, output: Path) -> RunResult:
    last, flower = outcome.last, experiment.flower
    local = "none" if last["epsilon"] is None else "local"
    return RunResult(
        final=final_figures(last),
        rounds=last["round"],
        virtual_s=outcome.virtual_s,
        seconds=round(outcome.seconds, 3),
        node_steps=outcome.steps,
        bytes_per_node=last["bytes_per_node"],
        epsilon=last["epsilon"] if flower.central_noise is None else last["central_epsilon"],
        noise=local if flower.central_noise is None else "central",
        engine=mode,
        rejected=outcome.rejected,
        flower_bytes=outcome.flower_bytes,
        personal=None if outcome.personal is None else personal_summary(outcome.personal),
        done=True,
        output=output,
    )
