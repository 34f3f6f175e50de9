"""What is recorded of a run: every so many exchange rounds one evaluation of all nodes.

bound             consensus_distance at the start, or when all have trained, · λ^(rounds since then): what holds for
                  sync while nobody is missed
averaging_error   of the states as each node's last training phase has left them, before mixing, see `core.factors`: how
                  far their mean is from the mean of their weights; only where two factors are averaged, each by itself
exact             where the schedule gives the mean: every node holds it, from the first whole period after the last
                  training on; False once a node went down, or mixed without one of its row
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossipfl.core.events import Report
from gossipfl.learning.evaluation import Evaluation
from gossipfl.runs.adapter_file import write_adapter, write_states
from gossipfl.runs.judging import Judge, Judgment
from gossipfl.runs.lines import Standing, error_line, judged_line, node_columns, summary_line
from gossipfl.runs.period_lines import Memories, period_columns, period_line
from gossipfl.runs.run_directory import RunDirectory
from gossipfl.runs.spread import Spread, spread_of
from gossipfl.sim.body import Body
from gossipfl.sim.trainers import Trainer
from gossipfl.sim.world import World
from gossipfl.state import AdapterState

RecorderState = tuple[int, dict[str, Any], Spread | None, tuple[float, float] | None, int, Memories]


@dataclass(frozen=True, slots=True)
class RecorderParts:
    """What a recorder is made of.

    Attributes:
        directory: where it writes.
        drawn: told every line before it is written.
        judge: evaluates; None without training.
        every: reports between two evaluations, over all nodes.
        share: part of the nodes evaluated.
        rng: draws them.
        lam: λ of the schedule, for the bound; None for a schedule without.
        exact_from: the round from which on every node holds the mean, see `sim.claims`.
        trainer: knows where training has led.
        keeps_states: of every node, at the end.
        attackers: nodes that do not count in what is said of all.
        joins: virtual second from which a node counts.
        spread: where states lie.
    """

    directory: RunDirectory
    judge: Judge | None
    every: int
    share: float
    rng: np.random.Generator
    phases: int
    lam: float | None
    exact_from: int | None
    trainer: Trainer[AdapterState]
    keeps_states: bool = False
    attackers: frozenset[str] = frozenset()
    joins: Mapping[str, float] = field(default_factory=dict)
    spread: Callable[[Sequence[AdapterState]], Spread] = spread_of
    drawn: Callable[[Mapping[str, Any]], None] = lambda _: None


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
        self._left: tuple[float, float] | None = None
        self._absent = 0
        self._memories: Memories = {}
        world.on_report = self._on_report

    def begin(self) -> None:
        """The first evaluation, before anything happens."""
        self.start = self._spread()
        self.record()

    def finish(self) -> None:
        """The last one, of all nodes; where they train the mean adapter is kept."""
        spread = self.record(last=True)
        if self._parts.judge is not None:
            write_adapter(self._parts.directory.path, self._mean(spread))
        if self._parts.keeps_states:
            states = {name: body.snapshot.state for name, body in self._world.bodies.items()}
            write_states(self._parts.directory.path, states)

    def state(self) -> RecorderState:
        """All that changes, for a checkpoint."""
        return self._next, self.last, self.start, self._left, self._absent, self._memories

    def restore(self, state: RecorderState) -> None:
        """Takes over what `state` gave."""
        self._next, self.last, self.start, self._left, self._absent, self._memories = state

    def _on_report(self, _name: str, report: Report) -> None:
        self._absent += len(report.absent)
        if self._world.reports >= self._next + self._parts.every:
            self.record()

    def record(self, *, last: bool = False) -> Spread:
        """Evaluates and writes one line of each file, the last one of all nodes; where the nodes are."""
        self._next = self._world.reports
        spread, nodes = self._spread(), tuple(self._world.bodies)
        away = self._away
        there = [name for name in nodes if name not in away]
        judgments, mean = self._judged(there, spread, last=last)
        columns = node_columns(self._standing(nodes), spread, judgments)
        columns["distance"] = self._of_honest(spread.distances)
        columns |= period_columns(nodes, judgments, self._memories)
        self.last = summary_line(columns, spread)
        self.last["bound"] = self._bound(spread, self.last["round"])
        self.last |= {"absent": self._absent, "exact": self._is_exact()}
        if self._parts.judge is None:
            start = self.start or spread
            self.last["mean_drift"] = float(np.linalg.norm(spread.mean - start.mean))
        else:
            counted = {name for name, _ in self._honest}
            honest = [name in counted for name in nodes]
            self.last |= judged_line(columns, mean, honest) | self._averaged() | period_line(columns, honest)
        self._parts.drawn(self.last)
        self._parts.directory.append(self.last, columns)
        return spread

    def _averaged(self) -> dict[str, float | None]:
        """The averaging error; of nodes that have not trained yet as they are."""
        if not self._parts.trainer.keeps:
            return {}
        left = self._parts.trainer.left
        return error_line([left.get(name, body.snapshot.state) for name, body in self._honest])

    @property
    def _honest(self) -> list[tuple[str, Body[AdapterState]]]:
        left_out = self._parts.attackers | self._away
        return [(name, body) for name, body in self._world.bodies.items() if name not in left_out]

    @property
    def _away(self) -> frozenset[str]:
        """Who is still to join."""
        return frozenset(name for name, joins_s in self._parts.joins.items() if self._world.now < joins_s)

    def _spread(self) -> Spread:
        return self._parts.spread([body.snapshot.state for _, body in self._honest])

    def _of_honest(self, values: NDArray[np.float64]) -> list[float | None]:
        """A column of what is known of honest nodes."""
        known = dict(zip((name for name, _ in self._honest), values.tolist(), strict=True))
        return [known.get(name) for name in self._world.bodies]

    def _judged(
        self, nodes: Sequence[str], spread: Spread, *, last: bool
    ) -> tuple[Mapping[str, Judgment], Evaluation | None]:
        judge = self._parts.judge
        if judge is None:
            return {}, None
        count = max(1, round((1.0 if last else self._parts.share) * len(nodes)))
        chosen = nodes if count == len(nodes) else self._drawn(nodes, count)
        states = [(name, self._world.bodies[name].snapshot.state) for name in chosen]
        mean = judge.judge_mean(self._mean(spread), last=last)
        return dict(zip(chosen, judge.judge(states, last=last), strict=True)), mean

    def _mean(self, spread: Spread) -> AdapterState:
        # where ranks differ the mean has the highest
        specs = (body.snapshot.state.spec for body in self._world.bodies.values())
        spec = next(spec for spec in specs if spec.size == spread.mean.size)
        return AdapterState(spec, spread.mean.astype(np.float32))

    def _drawn(self, nodes: Sequence[str], count: int) -> list[str]:
        return [nodes[place] for place in sorted(self._parts.rng.choice(len(nodes), count, replace=False))]

    def _standing(self, nodes: Sequence[str]) -> Standing:
        bodies, away = self._world.bodies.values(), self._away
        snapshots = [body.snapshot for body in bodies]
        return Standing(
            nodes=nodes,
            virtual_s=self._world.now,
            rounds=[snapshot.round for snapshot in snapshots],
            steps=[snapshot.step for snapshot in snapshots],
            sent=[body.bytes_sent for body in bodies],
            epsilons=[math.inf if name in away else body.epsilon for name, body in self._world.bodies.items()],
            up=[body.up and name not in away for name, body in self._world.bodies.items()],
            finished=[body.finished for body in bodies],
        )

    def _is_exact(self) -> bool | None:
        """None before there can be an exact mean, and where there is none."""
        since = self._parts.exact_from
        if since is None:
            return None
        bodies = self._world.bodies.values()
        if self._absent or any(body.life or not (body.up or body.finished) for body in bodies):
            return False
        return True if all(body.snapshot.round >= since for body in bodies) else None

    def _bound(self, spread: Spread, rounds: float) -> float | None:
        """None while anybody trains, which no λ bounds, and where there is none."""
        bodies = self._world.bodies.values()
        if self._parts.lam is None or any(body.snapshot.phase < self._parts.phases for body in bodies):
            return None
        if self._left is None:
            self._left = (spread.consensus_distance, rounds)
        distance, since = self._left
        return float(distance * self._parts.lam ** (rounds - since))
