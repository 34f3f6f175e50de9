"""The upper line of every comparison: one learner with the training records of all nodes, where no data has to stay.

It does as many steps, of as many records, as each node does elsewhere, and is measured as nodes are: on the common test
set, and on every node's own held-out part. Nothing is exchanged, so no bytes are counted, though all data moves.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gossipfl.config.experiment import Experiment
from gossipfl.config.growing import refuse_periods
from gossipfl.config.loading import LoadedExperiment
from gossipfl.core.rng import generator
from gossipfl.learning.bench import Bench, learner_for, load_resident
from gossipfl.learning.books import RunTerms
from gossipfl.learning.data import DataSite, Examples, NodeRecords, load_fleet_records
from gossipfl.learning.data.examples import make_examples
from gossipfl.learning.data.units import group_units
from gossipfl.learning.evaluation import Evaluation
from gossipfl.learning.resident import Resident
from gossipfl.privacy.simulated_account import SimulatedAccount
from gossipfl.runs import run_config as drivers
from gossipfl.runs.adapter_file import write_adapter
from gossipfl.runs.compute import Duration, build_duration
from gossipfl.runs.fleet import on_one_thread
from gossipfl.runs.judging import Judgment
from gossipfl.runs.lines import Standing, judged_line, node_columns, summary_line
from gossipfl.runs.progress import Progress
from gossipfl.runs.result import RunResult, final_figures
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.runs.simulated_books import simulated_books
from gossipfl.runs.spread import spread_of_one
from gossipfl.state import AdapterState

POOLED = "pooled"
"""Name of the one learner: of its batches, its noise, its computer."""


@dataclass(frozen=True, slots=True)
class _School:
    """The learner, and what it is measured by.

    Attributes:
        held_out: each node's own part, by node.
    """

    experiment: Experiment
    resident: Resident
    bench: Bench
    held_out: Mapping[str, Examples]
    duration: Duration

    def judge(self, state: AdapterState, *, last: bool) -> tuple[dict[str, Judgment], Evaluation | None]:
        """By node, and on the common test set."""
        learner, test = self.bench.learner, self.resident.test
        common = None if test is None else learner.evaluate(state, test, last=last)
        own = {
            name: learner.evaluate(state, part, last=last) if part.rows else None
            for name, part in self.held_out.items()
        }
        return {name: Judgment(found, common) for name, found in own.items()}, common


@dataclass(slots=True)
class _Progress:
    """How far it is."""

    state: AdapterState
    phase: int = 0
    steps: int = 0
    virtual_s: float = 0.0
    last: dict[str, Any] = field(default_factory=dict)


def train_pooled(
    loaded: LoadedExperiment,
    output: Path,
    *,
    resume: bool = False,
    show: Callable[[Progress], None] = lambda _: None,
) -> RunResult:
    """Trains one learner on the data of all nodes, and records it as any run is recorded.

    Args:
        loaded: as for `simulate`; its topology and protocol do not count.
        output: folder of the run, see `RunDirectory`.
        resume: of a run that is done, the result again; one that was stopped begins anew.
        show: told after each phase how far it is.

    Raises:
        UserError: something is wrong that can be known before, training runs away, or the folder is another run's.
    """
    directory = RunDirectory(output, drivers.run_config(drivers.POOLED, loaded.experiment), resume=resume)
    earlier = directory.result()
    if earlier is not None:
        return earlier
    with directory.alone():
        directory.load(lambda _: None)
        directory.write_origin(loaded.folder, loaded.experiment)
        directory.write_topology(loaded.experiment.simulation.names, lambda _name: ())
        result = _train(_open_school(loaded), directory, show)
    directory.write_result(result.as_json())
    return result


def pool(nodes: Mapping[str, NodeRecords]) -> NodeRecords:
    """The training records of all nodes as those of one, nothing held out; a person known to several is one unit."""
    records = tuple(found.records[row] for found in nodes.values() for unit in found.train for row in unit)
    tags = {tag for found in nodes.values() for tag in found.tags}
    return NodeRecords(records, tuple(group_units(records)), (), 0, tuple(sorted(tags)))


def _open_school(loaded: LoadedExperiment) -> _School:
    refuse_periods(loaded.experiment)
    experiment, folder = on_one_thread(loaded.experiment), loaded.folder
    names = experiment.simulation.names
    records = load_fleet_records(experiment, [DataSite(name, names, None, folder, folder) for name in names])
    everything, site = pool(records.nodes), DataSite(POOLED, names, None, folder, folder)
    resident = load_resident(experiment, site, records.test)
    books = simulated_books(experiment, everything)
    bench = learner_for(resident, site, RunTerms("simulation", streams="seeded"), everything, books=books)
    tokenizer = resident.adapted.reader
    held_out = {
        name: make_examples(found.records, found.held_out, tokenizer=tokenizer, task=experiment.task)
        for name, found in records.nodes.items()
    }
    on_device = {name: examples.to(resident.device) for name, examples in held_out.items()}
    draws = generator(experiment.seed, purpose="simulation compute")
    duration = build_duration(experiment.simulation.compute, draws)
    return _School(experiment, resident, bench, on_device, duration)


def _train(school: _School, directory: RunDirectory, show: Callable[[Progress], None]) -> RunResult:
    started, phases = time.monotonic(), school.experiment.training.phases
    at = _Progress(school.resident.adapted.initial)
    _record(school, at, directory)
    for _ in _phases(school, at):
        if at.phase % school.experiment.simulation.evaluate_every == 0:
            _record(school, at, directory)
        seconds = time.monotonic() - started
        show(Progress(at.phase, at.steps, at.virtual_s, seconds, seconds * (phases / at.phase - 1)))
    if at.last["round"] != at.phase:
        _record(school, at, directory)
    write_adapter(directory.path, at.state)
    return _result(school, at, time.monotonic() - started, directory.path)


def _phases(school: _School, at: _Progress) -> Iterator[None]:
    """Trains phase after phase, until all are done or the budget is."""
    training = school.experiment.training
    while at.phase < training.phases:
        done = school.bench.learner.train(at.state, first_step=at.steps, steps=training.local_steps, phase=at.phase)
        at.state = done.state
        at.phase, at.steps = at.phase + 1, at.steps + done.steps
        at.virtual_s += school.duration(POOLED, done.steps)
        yield
        if done.exhausted:
            return


def _record(school: _School, at: _Progress, directory: RunDirectory) -> None:
    names = list(school.held_out)
    judgments, common = school.judge(at.state, last=at.phase == school.experiment.training.phases)
    # every node has the one state
    spread = spread_of_one(at.state, len(names))
    columns = node_columns(_standing(school, at, names), spread, judgments)
    at.last = summary_line(columns, spread) | judged_line(columns, common)
    directory.append(at.last, columns)


def _standing(school: _School, at: _Progress, names: list[str]) -> Standing:
    everybody = len(names)
    return Standing(
        nodes=names,
        virtual_s=at.virtual_s,
        rounds=[at.phase] * everybody,
        steps=[at.steps] * everybody,
        sent=[0] * everybody,
        epsilons=[school.bench.account.receipt().epsilon] * everybody,
        up=[True] * everybody,
        finished=[at.phase == school.experiment.training.phases] * everybody,
    )


def _result(school: _School, at: _Progress, seconds: float, output: Path) -> RunResult:
    account = school.bench.account
    epsilon = account.epsilon() if isinstance(account, SimulatedAccount) else None
    return RunResult(
        final=final_figures(at.last),
        rounds=at.last["round"],
        virtual_s=at.virtual_s,
        seconds=round(seconds, 3),
        node_steps=at.steps,
        bytes_per_node=0.0,
        epsilon=epsilon,
        # whoever holds the data of all is trusted with it
        noise="none" if epsilon is None else "central",
        engine="loop",
        done=True,
        output=output,
    )
