"""What came of arms times seeds, as values.

    ArmSource ──TrialSource: folder──> Trial: Done | Fault ──over seeds──> ArmSummary ──> Comparison

`comparing.py` reads them; everything that is said of a run was recorded by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gossipfl.report.measures import Measure
from gossipfl.report.recorded import UNKNOWN, RecordedRun
from gossipfl.report.statistics import Difference, Estimate
from gossipfl.runs.result import RunResult

FIGURES = (
    "mean_node",
    "worst_node",
    "mean_model",
    "epsilon",
    "bytes_per_node",
    "virtual_s",
    "seconds",
    "steps",
    "steps_to_goal",
)
"""Of `TrialFigures`, in the order of the report."""
MEASURED = ("exact_match", "rouge_l", "chrf", "macro_f1")
"""Means over the nodes that some tasks have besides; a comparison has those that any of its runs recorded."""
JUDGED = ("mean_node", "worst_node", "mean_model")
"""Those that arms are held against each other by."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a trial has no result.

    Attributes:
        status: diverged: its values are no longer finite; failed: anything else.
        message: one line.
    """

    status: Literal["diverged", "failed"]
    message: str


@dataclass(frozen=True, slots=True)
class TrialSource:
    """Where a trial lies.

    Attributes:
        fault: what is known to have gone wrong.
    """

    seed: int
    folder: Path
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class ArmSource:
    """An arm as it was planned.

    Attributes:
        changes: what it changes in the base, by dotted field.
        steps: optimizer steps planned for each node.
        equal_work: as many of them as the base has, of as many records each.
    """

    name: str
    driver: str
    changes: Mapping[str, object]
    steps: int
    equal_work: bool
    trials: tuple[TrialSource, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """How arms are compared.

    Attributes:
        reference: name of the arm that differences are taken to.
        goal: accuracy or loss that is wished; None: none.
    """

    reference: str
    goal: float | None


@dataclass(frozen=True, slots=True)
class TrialFigures:
    """What a run came to, NaN where nothing is known.

    Attributes:
        mean_node, worst_node, mean_model: the measure at the end: over the nodes, of the worst, of the mean of states.
        epsilon: the largest of a node; NaN without privacy.
        bytes_per_node: see the run's driver.
        virtual_s, seconds: virtual and real.
        steps: optimizer steps done, mean over the nodes.
        steps_to_goal: at the first evaluation at which the mean over the nodes has reached the goal; NaN: never.
        measured: those of `MEASURED` that it recorded, on the records of the measure, mean over the nodes at the end.
    """

    mean_node: float
    worst_node: float
    mean_model: float
    epsilon: float
    bytes_per_node: float
    virtual_s: float
    seconds: float
    steps: float
    steps_to_goal: float
    measured: Mapping[str, float] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """One of `FIGURES` or of `MEASURED`."""
        return self.measured.get(name, UNKNOWN) if name in MEASURED else float(getattr(self, name))


@dataclass(frozen=True, slots=True)
class Done:
    """A run that came to its end.

    Attributes:
        result: what it printed.
    """

    run: RecordedRun
    result: RunResult
    figures: TrialFigures


@dataclass(frozen=True, slots=True)
class Trial:
    """One run, read."""

    seed: int
    folder: Path
    outcome: Done | Fault


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """An arm over its seeds.

    Attributes:
        figures: estimate by name of `FIGURES`, and of `MEASURED` where any run has one, of the trials that have a
            result.
        differences: to the reference arm, by name of `JUDGED`; empty of the reference itself.
        noise: whose: local, central, none; two kinds are not to be compared.
        equal_work: planned, and as recorded.
    """

    source: ArmSource
    trials: tuple[Trial, ...]
    figures: Mapping[str, Estimate]
    differences: Mapping[str, Difference]
    noise: str
    equal_work: bool

    @property
    def name(self) -> str:
        """The arm's."""
        return self.source.name

    @property
    def done(self) -> dict[int, Done]:
        """Runs that came to their end, by seed."""
        return {trial.seed: trial.outcome for trial in self.trials if isinstance(trial.outcome, Done)}

    @property
    def faults(self) -> dict[int, Fault]:
        """Of the others, by seed."""
        return {trial.seed: trial.outcome for trial in self.trials if isinstance(trial.outcome, Fault)}

    def values(self, figure: str) -> dict[int, float]:
        """One of `figures` by seed."""
        return {seed: done.figures.value(figure) for seed, done in self.done.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it.

    Attributes:
        measure: what arms are judged by; None when nothing was trained.
        report: the HTML file.
        output: its folder.
    """

    arms: tuple[ArmSummary, ...]
    terms: Terms
    measure: Measure | None
    report: Path
    output: Path

    def as_json(self) -> dict[str, Any]:
        """The keys of `gossipfl compare --json`."""
        return {
            "arms": [_arm_json(arm) for arm in self.arms],
            "measure": self.measure and {"part": self.measure.part, "figure": self.measure.figure},
            "reference": self.terms.reference,
            "goal": self.terms.goal,
            "report": self.report,
            "output": self.output,
        }


def _arm_json(arm: ArmSummary) -> dict[str, Any]:
    means = {name: figure.mean for name, figure in arm.figures.items()}
    return {
        "name": arm.name,
        "driver": arm.source.driver,
        "mean": means.pop("mean_node"),
        "std": arm.figures["mean_node"].std,
        **means,
        "noise": arm.noise,
        "equal_work": arm.equal_work,
        "seeds": list(arm.done),
        "failures": [
            {"seed": seed, "status": fault.status, "message": fault.message} for seed, fault in arm.faults.items()
        ],
        "differences": arm.differences,
        "figures": {
            name: {"mean": figure.mean, "std": figure.std, "values": arm.values(name)}
            for name, figure in arm.figures.items()
        },
    }
