"""The faster of loop and batched, found out by trying both on the first phases.

    first phases ──> their rows at their states ─┬─ one at a time    seconds a node ─┬─> the less of both, for good
                                                 └─ in one pass      seconds a node ─┘

Both are tried with throw-away optimizers on gradients that nobody gets: no step is charged, no batch is drawn, no
moment changes. The two engines' results differ by rounding; a run that goes on keeps the engine it began with.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from gossipfl.core.events import Train, Trained
from gossipfl.learning.optimizer import LocalOptimizer, share_optimizer, step_together
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms.parts import leave
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.clip import Clip
from gossipfl.privacy.sources.plain import PlainGradients
from gossipfl.privacy.sources.seam import trainable, zeros_for
from gossipfl.runs.fleet import Fleet
from gossipfl.sim.engines.batched import BatchedEngine
from gossipfl.sim.engines.loop import LoopEngine
from gossipfl.sim.trainers import Moments
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

Phases = Sequence[tuple[str, Train[AdapterState]]]
Batches = Sequence[tuple[AdapterState, Rows]]
TRIED_ALONE = 4
"""Nodes that are tried one at a time."""
TRIED_TOGETHER = 32
"""Nodes that are tried in one pass; all, where so many are not quicker than one at a time: more may be."""
TRIES = 2
"""The quickest counts; one more before warms up."""
CLEAR = 1.5
"""Where one is this many times as quick as the other, one try suffices: the nodes wait for it."""


class AutoEngine:
    """Chooses at the first phases, between engines that both suit the model."""

    def __init__(self, fleet: Fleet, *, most_rows: int) -> None:
        self._fleet = fleet
        self._most_rows = most_rows
        self._engine: LoopEngine | BatchedEngine | None = None

    @property
    def name(self) -> str:
        """The chosen engine's; empty before the first phases."""
        return self._engine.name if self._engine else ""

    def take(self, name: str) -> None:
        """Goes on with the engine that was chosen before; an empty name leaves it open."""
        if name:
            self._engine = self._made(name)

    def compute(self, phases: Phases) -> list[Trained[AdapterState]]:
        """See `Engine.compute`."""
        if self._engine is None:
            self._engine = self._made(self._quicker(phases))
        return self._engine.compute(phases)

    def moments(self, node: str) -> Moments:
        """See `Engine.moments`."""
        return self._engine.moments(node) if self._engine else {}

    def restore(self, node: str, moments: Moments) -> None:
        """See `Engine.restore`."""
        if self._engine is not None:
            self._engine.restore(node, moments)

    def _made(self, name: str) -> LoopEngine | BatchedEngine:
        if name == LoopEngine.name:
            return LoopEngine(self._fleet)
        return BatchedEngine(self._fleet, most_rows=self._most_rows)

    def _quicker(self, phases: Phases) -> str:
        trial = Trial(self._fleet, phases, most_rows=self._most_rows)
        alone_s, together_s = trial.seconds()
        name = LoopEngine.name if alone_s < together_s else BatchedEngine.name
        logger.info("engine %s: %.3g s a step alone, %.3g s together", name, alone_s, together_s)
        return name


class Trial:
    """One step of the nodes of some phases, both ways, with nothing to show for it."""

    def __init__(self, fleet: Fleet, phases: Phases, *, most_rows: int) -> None:
        self._adapted = fleet.resident.adapted
        self._losses = fleet.resident.task.losses
        self._config = self._adapted.experiment.training
        batches = [(phase.snapshot, _rows(fleet, node)) for node, phase in phases]
        fitting = int(np.searchsorted(np.cumsum([rows.count for _, rows in batches]), most_rows, side="right"))
        self._batches = batches[: max(1, fitting)]
        private = self._adapted.experiment.privacy
        layered = private.clipping == "per_layer"
        self._clip = Clip(private.max_grad_norm, layered) if private.noises_steps else None
        self._source = fleet.resident.unit_source.chosen or PlainGradients(self._adapted.module, self._losses)

    def seconds(self) -> tuple[float, float]:
        """Of a node's step: one at a time, and in one pass."""
        alone_s, together_s = self._compared(self._batches[:TRIED_TOGETHER])
        if alone_s < together_s and len(self._batches) > TRIED_TOGETHER:
            alone_s, together_s = self._compared(self._batches)
        self._source.clear()
        return alone_s, together_s

    def _compared(self, many: Batches) -> tuple[float, float]:
        some = many[:TRIED_ALONE]
        alone, together = self._alone(some), self._together(many)
        alone()
        together()
        alone_s = together_s = math.inf
        for _ in range(TRIES):
            alone_s = min(alone_s, _timed(alone) / len(some))
            together_s = min(together_s, _timed(together) / len(many))
            if max(alone_s, together_s) > CLEAR * min(alone_s, together_s):
                break
        return alone_s, together_s

    def _alone(self, batches: Batches) -> Callable[[], None]:
        adapted, optimizer = self._adapted, LocalOptimizer(self._adapted.trained, self._config)

        def run() -> None:
            for state, rows in batches:
                adapted.write(state)
                self._leave_gradient(rows)
                optimizer.step(0)
                adapted.read()

        return run

    def _leave_gradient(self, rows: Rows) -> None:
        """As the mechanism of the experiment leaves it, without noise."""
        if isinstance(self._source, PlainGradients):
            self._source.leave([rows], float(rows.units))
            return
        module = self._adapted.module
        sums = zeros_for(module)
        self._source.add(rows, self._clip, sums)
        leave(sums, trainable(module))

    def _together(self, batches: Batches) -> Callable[[], None]:
        gradients = GroupedGradients(self._adapted.module, self._losses, reuse=True)
        slots = torch.empty(len(batches), self._adapted.spec.size)
        vectors = [torch.nn.Parameter(slot) for slot in slots]
        named = {str(place): {"vector": vector} for place, vector in enumerate(vectors)}
        optimizers = share_optimizer(named, dict.fromkeys(named, self._config))

        def run() -> None:
            for place, (state, _) in enumerate(batches):
                slots.numpy()[place] = state.vector
            groups = [Group(slot, rows, self._clip) for slot, (_, rows) in zip(slots, batches, strict=True)]
            for vector, sums in zip(vectors, gradients.sums(groups), strict=True):
                vector.grad = sums
            step_together([(optimizer, 0) for optimizer in optimizers.values()])
            for slot in slots.numpy():
                slot.copy()

        return run


def _rows(fleet: Fleet, node: str) -> Rows:
    """As many units as a batch has on average, the node's first."""
    bench = fleet.benches[node]
    units = max(1, min(round(bench.learner.units), bench.data.train.units))
    return bench.data.train.together(np.arange(units))


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
