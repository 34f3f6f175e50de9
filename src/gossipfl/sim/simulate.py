"""One simulated run, from experiment.yaml to a result."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gossipfl.config.loading import LoadedAveraging, LoadedExperiment
from gossipfl.core.mixing.blocks import LeadingBlocks, check_connected, cores_rank
from gossipfl.core.tables import resolve
from gossipfl.learning.adapters.summary import AdapterSummary, summarize
from gossipfl.learning.data.token_folder import prepare_folder
from gossipfl.runs.curves import SIMULATED, Curves, Row, last_line
from gossipfl.runs.judging import Judge
from gossipfl.runs.personal import personal_summary, write_personal
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult, final_figures
from gossipfl.runs.run_config import SIMULATE, run_config
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.sim.averaging import averaging_course, averaging_setting
from gossipfl.sim.claims import exact_from, lambda_of
from gossipfl.sim.nodes import (
    Course,
    Setting,
    build_world,
    generators_of,
    guards_of,
    node_parts,
    schedule_for,
    shared_objects,
    weigher,
)
from gossipfl.sim.personal import PersonalStage
from gossipfl.sim.recording import Recorder, RecorderParts
from gossipfl.sim.running import Ran, Run, RunParts
from gossipfl.sim.training import ENGINES, Training, build_training, training_course, training_setting


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who takes part.

    Attributes:
        course: what each node does.
        judge: evaluates; None without training.
        training: what trains; None without training.
    """

    setting: Setting
    course: Course
    judge: Judge | None
    training: Training | None

    def close(self) -> None:
        """Gives back what trains."""
        if self.training is not None:
            self.training.crew.close()


def simulate(
    experiment: LoadedExperiment | LoadedAveraging,
    output: Path,
    *,
    resume: bool = False,
    show: Callable[[Progress], None] = lambda _: None,
    tell: Callable[[AdapterSummary], None] = lambda _: None,
    tensorboard: Path | None = None,
) -> RunResult:
    """Runs an experiment in this process, on virtual time.

    Args:
        experiment: as `load_simulation` or `load_experiment` gives it.
        output: folder of the run, see `RunDirectory`.
        resume: go on where a stopped run was; of one that is done, the result again.
        show: told now and then how far the run is.
        tell: told at the start what is trained, where anything is.
        tensorboard: folder for event files; the extra `tensorboard` is there. None: none.

    Guarantees:
        SIGINT or SIGTERM leaves a checkpoint, and the result says that the run is not done.

    Raises:
        UserError: something is wrong that can be known before, or the folder belongs to another run.
    """
    directory = RunDirectory(output, run_config(SIMULATE, experiment.experiment), resume=resume)
    earlier = directory.result()
    if earlier is not None:
        directory.forget_tokens()
        return earlier
    with directory.alone(), closing(_cast(experiment, directory)) as cast, _curves(tensorboard, directory) as drawn:
        loaded = experiment if isinstance(experiment, LoadedExperiment) else None
        directory.write_origin(experiment.folder, None if loaded is None else loaded.experiment)
        if cast.training is not None and loaded is not None:
            summary = summarize(loaded.experiment.adapter, cast.training.crew.initial.spec)
            directory.write_adapter(summary)
            tell(summary)
        parts = _parts(cast, directory, drawn)
        ran = Run(parts, show)()
        result = _result(parts, ran, cast.training)
    if ran.done:
        if parts.personal is not None:
            write_personal(directory.path, parts.personal.found)
        directory.write_result(result.as_json())
        directory.forget_tokens()
    return result


def _cast(loaded: LoadedExperiment | LoadedAveraging, directory: RunDirectory) -> _Cast:
    if isinstance(loaded, LoadedAveraging):
        setting = averaging_setting(loaded.experiment, loaded.folder)
        # nothing trains, but a name that is wrong is wrong
        resolve(ENGINES, setting.simulation.engine, field="simulation.engine")
        return _Cast(setting, averaging_course(loaded.experiment, setting), None, None)
    setting = replace(training_setting(loaded), tokens=directory.tokens)
    prepare_folder(directory.tokens, kept=loaded.experiment.data.tokens == "mapped")
    training = build_training(loaded.experiment, setting)
    course = training_course(loaded.experiment, setting, training)
    return _Cast(setting, course, training.crew, training)


@contextmanager
def _curves(folder: Path | None, directory: RunDirectory) -> Iterator[Callable[[Row], None]]:
    if folder is None:
        yield lambda _: None
        return
    # asked when the first line is to be written: by then those after the checkpoint are cut off
    with closing(Curves(folder, SIMULATED, lambda: last_line(directory.metrics, SIMULATED))) as curves:
        yield curves.take


def _parts(cast: _Cast, directory: RunDirectory, drawn: Callable[[Row], None]) -> RunParts:
    setting, schedule = cast.setting, schedule_for(cast.setting)
    if isinstance(cast.course.mixing, LeadingBlocks):
        check_connected(schedule, {name: cores_rank(state) for name, state in cast.course.initial.items()})
    directory.write_topology(schedule.nodes, schedule.neighbors)
    generators = generators_of(setting)
    parts = node_parts(setting, schedule, cast.course)
    guard = guards_of(setting, schedule, cast.course)
    world = build_world(setting, parts, generators, trainer=cast.course.trainer, weigh=weigher(setting), guard=guard)
    simulation = setting.simulation
    recorder = Recorder(
        RecorderParts(
            directory=directory,
            drawn=drawn,
            judge=cast.judge,
            every=simulation.evaluate_every * simulation.nodes,
            share=simulation.evaluate_share,
            rng=generators["recorder"],
            phases=cast.course.phases,
            lam=lambda_of(setting, schedule, cast.course.mixing),
            exact_from=exact_from(setting, schedule, cast.course),
            trainer=cast.course.trainer,
            keeps_states=simulation.keep_states,
            spread=cast.course.spread,
            attackers=simulation.attackers.active,
            joins=simulation.availability.joins,
        ),
        world,
    )
    return RunParts(
        world=world,
        recorder=recorder,
        directory=directory,
        engines=cast.training,
        generators=generators,
        shared=shared_objects(parts),
        rounds=cast.course.phases * setting.gossip.rounds_per_phase + setting.gossip.settle_rounds,
        until_s=simulation.until_s or math.inf,
        checkpoint_s=simulation.checkpoint_s,
        personal=_personal(cast),
    )


def _personal(cast: _Cast) -> PersonalStage | None:
    """What makes the nodes' own models; attackers have none."""
    training, simulation = cast.training, cast.setting.simulation
    if training is None or not training.personal:
        return None
    nodes = [name for name in cast.setting.names if name not in simulation.attackers.active]
    return PersonalStage(training.crew, nodes, at_once=simulation.actors if training.engine.name == "ray" else 1)


def _result(parts: RunParts, ran: Ran, training: Training | None) -> RunResult:
    world, last = parts.world, parts.recorder.last
    return RunResult(
        final=final_figures(last),
        rounds=last["round"],
        virtual_s=world.now,
        seconds=round(ran.seconds, 3),
        node_steps=world.steps or world.reports,
        bytes_per_node=last["bytes_per_node"],
        epsilon=training.crew.epsilon() if training else None,
        exposed=training.crew.exposed() if training else None,
        noise="none" if training is None or last["epsilon"] is None else "local",
        engine=training.engine.name if training else None,
        done=ran.done,
        rejected=world.rejected,
        personal=personal_summary(parts.personal.found) if parts.personal is not None and ran.done else None,
        output=parts.directory.path,
    )
