"""What is recorded of a run: every so many exchange rounds one evaluation of all nodes.

consensus_distance = √(Σ ‖x_i − x̄‖² / n)        bound = consensus_distance at the start · λ^rounds, without training
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Report
from gossipfl.learning.evaluation import Evaluation
from gossipfl.sim.judging import Judge, Judgment
from gossipfl.sim.run_directory import RunDirectory
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

BLOCK = 1 << 18
"""Values of all states side by side at a time: in float64 they stay in the cache."""
WIDTH = 8192
"""Values of one state at a time, at most: BLAS starts no threads for so few, which would spin."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the states lie.

    Attributes:
        mean: x̄, (size,) float64.
        distances: (nodes,) ‖x_i − x̄‖.
    """

    mean: NDArray[np.float64]
    distances: NDArray[np.float64]

    @property
    def consensus_distance(self) -> float:
        """Root of the mean squared distance."""
        return float(np.sqrt(np.mean(self.distances**2)))


def spread_of(states: Sequence[AdapterState]) -> Spread:
    """Mean and distances, in float64; some values of some nodes at a time, so that they stay in the cache."""
    nodes, size = len(states), states[0].spec.size
    mean, squares = np.empty(size), np.zeros(nodes)
    width = min(size, WIDTH, max(1, BLOCK // nodes))
    scratch = np.empty((nodes, width))
    for start in range(0, size, width):
        place = slice(start, start + width)
        block = scratch[:, : min(width, size - start)]
        for row, state in zip(block, states, strict=True):
            row[:] = state.vector[place]
        mean[place] = block.sum(axis=0) / nodes
        block -= mean[place]
        squares += np.vecdot(block, block)
    return Spread(mean, np.sqrt(squares))


@dataclass(frozen=True, slots=True)
class RecorderParts:
    """What a recorder is made of.

    Attributes:
        directory: where it writes.
        judge: evaluates; None without training.
        every: reports between two evaluations, over all nodes.
        share: part of the nodes evaluated.
        rng: draws them.
        lam: λ of the schedule, for the bound; None where none holds.
    """

    directory: RunDirectory
    judge: Judge | None
    every: int
    share: float
    rng: np.random.Generator
    lam: float | None


class Recorder:
    """Evaluates a world whenever enough has happened in it.

    Attributes:
        last: the last line of `metrics.jsonl`.
    """

    def __init__(self, parts: RecorderParts, world: World[AdapterState]) -> None:
        self._parts = parts
        self._world = world
        self._next = 0
        self.last: dict[str, Any] = {}
        self.start: Spread | None = None
        world.on_report = self._on_report

    def begin(self) -> None:
        """The first evaluation, before anything happens."""
        self.start = self._spread()
        self.record()

    def finish(self) -> None:
        """The last one, of all nodes."""
        self.record(share=1.0)

    def state(self) -> tuple[int, dict[str, Any], Spread | None]:
        """All that changes, for a checkpoint."""
        return self._next, self.last, self.start

    def restore(self, state: tuple[int, dict[str, Any], Spread | None]) -> None:
        """Takes over what `state` gave."""
        self._next, self.last, self.start = state

    def _on_report(self, _name: str, _report: Report) -> None:
        if self._world.reports >= self._next + self._parts.every:
            self.record()

    def record(self, share: float | None = None) -> None:
        """Evaluates and writes one line of each file."""
        self._next = self._world.reports
        spread, nodes = self._spread(), tuple(self._world.bodies)
        judgments, mean = self._judged(nodes, self._parts.share if share is None else share, spread)
        columns = self._columns(spread, judgments)
        self.last = self._summary(spread, columns, mean)
        self._parts.directory.append(self.last, columns)

    def _spread(self) -> Spread:
        return spread_of([body.snapshot.state for body in self._world.bodies.values()])

    def _judged(
        self, nodes: Sequence[str], share: float, spread: Spread
    ) -> tuple[Mapping[str, Judgment], Evaluation | None]:
        judge = self._parts.judge
        if judge is None:
            return {}, None
        count = max(1, round(share * len(nodes)))
        chosen = nodes if count == len(nodes) else self._drawn(nodes, count)
        states = [(name, self._world.bodies[name].snapshot.state) for name in chosen]
        spec = states[0][1].spec
        mean = judge.judge_mean(AdapterState(spec, spread.mean.astype(np.float32)))
        return dict(zip(chosen, judge.judge(states), strict=True)), mean

    def _drawn(self, nodes: Sequence[str], count: int) -> list[str]:
        return [nodes[place] for place in sorted(self._parts.rng.choice(len(nodes), count, replace=False))]

    def _columns(self, spread: Spread, judgments: Mapping[str, Judgment]) -> dict[str, Any]:
        bodies = self._world.bodies
        snapshots = [body.snapshot for body in bodies.values()]
        columns: dict[str, Any] = {
            "virtual_s": self._world.now,
            "round": [snapshot.round for snapshot in snapshots],
            "step": [snapshot.step for snapshot in snapshots],
            "bytes": [body.bytes_sent for body in bodies.values()],
            "distance": spread.distances,
            "up": [body.up for body in bodies.values()],
            "finished": [body.finished for body in bodies.values()],
        }
        if judgments:
            epsilons = [snapshot.receipt.epsilon for snapshot in snapshots]
            columns["epsilon"] = [epsilon if math.isfinite(epsilon) else None for epsilon in epsilons]
            for part in ("own", "test"):
                for figure in ("loss", "accuracy"):
                    columns[f"{part}_{figure}"] = [_figure(judgments.get(name), part, figure) for name in bodies]
        return columns

    def _summary(self, spread: Spread, columns: Mapping[str, Any], mean: Evaluation | None) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "virtual_s": self._world.now,
            "round": float(np.mean(columns["round"])),
            "step": float(np.mean(columns["step"])),
            "bytes_per_node": float(np.mean(columns["bytes"])),
            "consensus_distance": spread.consensus_distance,
        }
        if self._parts.judge is None:
            summary |= self._gossip_figures(spread, summary["round"])
            return summary
        for part in ("own", "test"):
            for figure in ("loss", "accuracy"):
                known = [value for value in columns[f"{part}_{figure}"] if value is not None]
                summary[f"{part}_{figure}"] = float(np.mean(known)) if known else None
        judged = "test" if summary["test_loss"] is not None else "own"
        accuracies = [value for value in columns[f"{judged}_accuracy"] if value is not None]
        losses = [value for value in columns[f"{judged}_loss"] if value is not None]
        summary["worst"] = min(accuracies) if accuracies else max(losses, default=None)
        summary["mean_model_loss"] = mean and mean.loss
        summary["mean_model_accuracy"] = mean and mean.accuracy
        epsilons = [epsilon for epsilon in columns["epsilon"] if epsilon is not None]
        summary["epsilon"] = max(epsilons, default=None)
        return summary

    def _gossip_figures(self, spread: Spread, rounds: float) -> dict[str, float | None]:
        start = self.start or spread
        bound = None if self._parts.lam is None else start.consensus_distance * self._parts.lam**rounds
        return {"bound": bound, "mean_drift": float(np.linalg.norm(spread.mean - start.mean))}


def _figure(judgment: Judgment | None, part: str, figure: str) -> float | None:
    evaluation: Evaluation | None = getattr(judgment, part, None)
    return None if evaluation is None else getattr(evaluation, figure)
