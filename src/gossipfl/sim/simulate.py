"""One simulated run, from experiment.yaml to a result."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gossipfl.config.loading import LoadedAveraging, LoadedExperiment, dump_experiment
from gossipfl.sim.averaging import averaging_course, averaging_setting
from gossipfl.sim.judging import Judge
from gossipfl.sim.nodes import (
    Course,
    Setting,
    build_world,
    generators_of,
    lambda_of,
    node_parts,
    schedule_for,
    shared_objects,
)
from gossipfl.sim.recording import Recorder, RecorderParts
from gossipfl.sim.run_directory import RunDirectory
from gossipfl.sim.running import Progress, Ran, Run, RunParts
from gossipfl.sim.training import Training, build_training, training_course, training_setting


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What came of it.

    Attributes:
        final: the last evaluation.
        virtual_s, seconds: virtual and real.
        node_steps: optimizer steps of all nodes; without training, exchange rounds.
        bytes_per_node: encoded, mean.
        epsilon: the largest of a node; None without privacy.
        engine: what trained; None without training.
        done: the run came to its end; otherwise it can be resumed.
        output: its folder.
    """

    final: dict[str, Any]
    virtual_s: float
    seconds: float
    node_steps: int
    bytes_per_node: float
    epsilon: float | None
    engine: str | None
    done: bool
    output: Path

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl simulate --json`; seeded noise is not private."""
        return {
            "final": self.final,
            "virtual_s": self.virtual_s,
            "seconds": self.seconds,
            "node_steps": self.node_steps,
            "node_steps_per_s": round(self.node_steps / self.seconds, 3) if self.seconds else None,
            "bytes_per_node": self.bytes_per_node,
            "epsilon": self.epsilon,
            "engine": self.engine,
            "private": False,
            "done": self.done,
            "output": self.output,
        }

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any], output: Path) -> Self:
        """A result that was recorded in a run's folder."""
        names = ("final", "virtual_s", "seconds", "node_steps", "bytes_per_node", "epsilon", "engine", "done")
        return cls(**{name: recorded[name] for name in names}, output=output)


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
) -> SimulationResult:
    """Runs an experiment in this process, on virtual time.

    Args:
        experiment: as `load_simulation` or `load_experiment` gives it.
        output: folder of the run, see `RunDirectory`.
        resume: go on where a stopped run was; of one that is done, the result again.
        show: told now and then how far the run is.

    Guarantees:
        SIGINT or SIGTERM leaves a checkpoint, and the result says that the run is not done.

    Raises:
        UserError: something is wrong that can be known before, or the folder belongs to another run.
    """
    directory = RunDirectory(output, dump_experiment(experiment.experiment), resume=resume)
    earlier = directory.result()
    if earlier is not None:
        return SimulationResult.from_json(earlier, output)
    with closing(_cast(experiment)) as cast:
        parts = _parts(cast, directory)
        ran = Run(parts, show)()
        result = _result(parts, ran, cast.training)
    if ran.done:
        directory.write_result(result.as_json())
    return result


def _cast(loaded: LoadedExperiment | LoadedAveraging) -> _Cast:
    if isinstance(loaded, LoadedAveraging):
        setting = averaging_setting(loaded.experiment, loaded.folder)
        return _Cast(setting, averaging_course(loaded.experiment, setting), None, None)
    setting = training_setting(loaded)
    training = build_training(loaded.experiment, setting)
    course = training_course(loaded.experiment, setting, training)
    return _Cast(setting, course, training.crew, training)


def _parts(cast: _Cast, directory: RunDirectory) -> RunParts:
    setting, schedule = cast.setting, schedule_for(cast.setting)
    directory.write_topology(schedule)
    generators = generators_of(setting)
    parts = node_parts(setting, schedule, cast.course)
    world = build_world(setting, cast.course, parts, generators)
    simulation = setting.simulation
    recorder = Recorder(
        RecorderParts(
            directory=directory,
            judge=cast.judge,
            every=simulation.evaluate_every * simulation.nodes,
            share=simulation.evaluate_share,
            rng=generators["recorder"],
            lam=None if cast.judge else lambda_of(schedule),
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
    )


def _result(parts: RunParts, ran: Ran, training: Training | None) -> SimulationResult:
    world, last = parts.world, parts.recorder.last
    return SimulationResult(
        final=_final(last),
        virtual_s=world.now,
        seconds=round(ran.seconds, 3),
        node_steps=world.steps or world.reports,
        bytes_per_node=last["bytes_per_node"],
        epsilon=training.crew.epsilon() if training else None,
        engine=training.engine.name if training else None,
        done=ran.done,
        output=parts.directory.path,
    )


def _final(last: dict[str, Any]) -> dict[str, Any]:
    """The keys of commands.md, on the common test set where there is one."""
    if "own_loss" not in last:
        return {"consensus_distance": last["consensus_distance"], "mean_drift": last["mean_drift"]}
    part = "test" if last["test_loss"] is not None else "own"
    figure = "accuracy" if last[f"{part}_accuracy"] is not None else "loss"
    return {
        f"mean_{figure}": last[f"{part}_{figure}"],
        "worst": last["worst"],
        "mean_model": last[f"mean_model_{figure}"],
        "consensus_distance": last["consensus_distance"],
    }
