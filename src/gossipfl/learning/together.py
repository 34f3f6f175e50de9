"""Local training of many nodes in one pass: each step, the batches of all go through the one base together.

    node 0   draw ─┐                              ┌─ noise, divide ─> optimizer of node 0
    node 1   draw ─┼─> one forward and backward ──┼─ noise, divide ─> optimizer of node 1
    …              ┘                              └─ …

What a node draws, is charged and releases, and how it is noised and stepped is the same code that trains it alone; only
the sums of gradients come from one pass, and so differ from those of `Learner` by rounding.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossipfl.errors import BudgetSpentError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import Bench
from gossipfl.learning.learner import PhaseOf, Training, released
from gossipfl.learning.optimizer import LocalOptimizer, optimizer_part, share_optimizer, step_together
from gossipfl.learning.resident import Resident
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.memory import is_memory
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms import Drawn, Units
from gossipfl.privacy.rows import Rows
from gossipfl.privacy.sources.seam import Places, trainable
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)

CACHED_VALUES = 1 << 20
"""Trained values of the nodes of one pass, about: with their gradients they stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What one node is to train, see `Learner.train`."""

    node: str
    snapshot: AdapterState
    first_step: int
    steps: int
    number: int = 0


@dataclass(slots=True)
class _Runner:
    """A node in the middle of a phase.

    Attributes:
        place: of the node's values, among those that train with it.
        vectors: those values in pieces, see `_pieces`.
        resting: parameters that are not trained in this phase.
        began: where it trains from: of several adapters the newest, see `continual.offset`.
        start: its values at the beginning, where the phase is pulled to them; see `Learner.train`.
        done: optimizer steps.
        exhausted: its budget ended the phase.
    """

    phase: Phase
    bench: Bench
    place: int
    vectors: Mapping[str, nn.Parameter]
    resting: Places
    optimizer: LocalOptimizer
    began: AdapterState
    start: Tensor | None = None
    done: int = 0
    exhausted: bool = False

    @property
    def step(self) -> int:
        """The next one, of the whole run."""
        return self.phase.first_step + self.done

    @property
    def rate_index(self) -> int:
        """See `TrainingConfig`."""
        phase = self.phase
        return self.bench.training.rate_index(self.step, phase=phase.number, first=phase.first_step)

    @property
    def runs(self) -> bool:
        """It has a step left."""
        return self.done < self.phase.steps and not self.exhausted


@dataclass(slots=True)
class _Turn:
    """One step of a node."""

    runner: _Runner
    batch: Drawn
    rows: Rows


class Together:
    """Trains many nodes at one model.

    Args:
        resident: the model.
        benches: of all nodes, at that model.
        most_rows: in one pass; halved when memory runs out.

    Raises:
        PrivacyError: the model cannot be grouped; the message says why.
    """

    def __init__(self, resident: Resident, benches: Mapping[str, Bench], *, most_rows: int) -> None:
        self._adapted = resident.adapted
        self._benches = benches
        self._most_rows = most_rows
        self._gradients = GroupedGradients(resident.adapted.module, resident.task.losses, reuse=True)
        self._order = module_order(resident.adapted)
        self._in_order = bool((np.diff(self._order) == 1).all())
        configs = {node: bench.training for node, bench in benches.items()}
        self._slots = torch.empty(min(len(benches), nodes_at_once(resident.adapted)), len(self._order))
        self._values: NDArray[np.float32] = self._slots.numpy()
        self._pieces = _pieces(resident.adapted)
        # each is put into the place that is free when it trains
        self._vectors = {
            node: {name: nn.Parameter(self._slots[0, piece.place]) for name, piece in self._pieces.items()}
            for node in benches
        }
        self._optimizers = share_optimizer(self._vectors, configs)
        self._loaded: dict[str, tuple[Units, Rows]] = {}

    def train(self, phases: Sequence[Phase]) -> list[Training]:
        """Results of phases of different nodes, in their order.

        Raises:
            DivergedError: a node's values are no longer finite.
        """
        at_once = len(self._slots)
        parts = [phases[first : first + at_once] for first in range(0, len(phases), at_once)]
        return [training for part in parts for training in self._train(part)]

    def durable(self, node: str) -> dict[str, NDArray[np.float32]]:
        """Copies of a node's optimizer moments, as vectors, and of the rest that `Learner.durable` has."""
        bench = self._benches[node]
        return {**self._optimizers[node].durable(), **bench.mechanism.durable(), **bench.learner.offset.durable()}

    def restore(self, node: str, moments: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `durable` gave."""
        self._optimizers[node].restore(optimizer_part(moments))
        self._benches[node].mechanism.restore(moments)
        self._benches[node].learner.offset.restore(moments, self._adapted.spec.size)

    def _train(self, phases: Sequence[Phase]) -> list[Training]:
        runners = [self._runner(phase, place) for place, phase in enumerate(phases)]
        while running := [runner for runner in runners if runner.runs]:
            self._step(running)
        return [self._training(runner) for runner in runners]

    def _runner(self, phase: Phase, place: int) -> _Runner:
        vectors = self._vectors[phase.node]
        for name, piece in self._pieces.items():
            vectors[name].data = self._slots[place, piece.place]
        bench = self._benches[phase.node]
        began = bench.learner.offset.begin(phase.snapshot, bench.learner.adapters)
        self._values[place] = self._ordered(began.vector)
        optimizer = self._optimizers[phase.node]
        if self._adapted.experiment.training.optimizer_state == "reset":
            optimizer.reset()
        resting = self._adapted.resting_places(phase.number)
        start = self._slots[place].clone() if bench.learner.proximal_mu else None
        return _Runner(phase, bench, place, vectors, resting, optimizer, began, start)

    def _ordered(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        # most vectors are in the module's order anyway, and an index costs more than a copy
        return vector if self._in_order else vector[self._order]

    def _step(self, runners: Sequence[_Runner]) -> None:
        turns = [turn for runner in runners if (turn := self._draw(runner))]
        # as a pass has them: their gradients need no sorting back
        turns.sort(key=lambda turn: turn.rows.count)
        while turns:
            part = self._fitting(turns)
            groups = [_group(turn, self._slots[turn.runner.place]) for turn in part]
            try:
                sums = self._gradients.sums(groups)
            except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
                self._halve(error, part)
            else:
                _finish(part, sums, self._pieces, self._slots)
                turns = turns[len(part) :]

    def _draw(self, runner: _Runner) -> _Turn | None:
        """A node's next batch; None when it cannot be paid for."""
        try:
            batch = runner.bench.mechanism.draw(runner.step)
        except BudgetSpentError:
            runner.exhausted = True
            return None
        return _Turn(runner, batch, self._rows(runner, batch.units))

    def _rows(self, runner: _Runner, units: Units) -> Rows:
        """The batch; one that a mechanism hands out again, all units say, is put together once."""
        node = runner.phase.node
        loaded = self._loaded.get(node)
        if loaded is None or loaded[0] is not units:
            loaded = self._loaded[node] = (units, runner.bench.data.train.together(units))
        return loaded[1]

    def _fitting(self, turns: Sequence[_Turn]) -> Sequence[_Turn]:
        """As many of the first as fit into one pass; one at least."""
        ends = np.cumsum([turn.rows.count for turn in turns])
        return turns[: max(1, int(np.searchsorted(ends, self._most_rows, side="right")))]

    def _halve(self, error: Exception, part: Sequence[_Turn]) -> None:
        if not is_memory(error) or len(part) == 1:
            raise error
        self._most_rows = sum(turn.rows.count for turn in part) // 2
        # what is kept for the next pass was made for a larger one
        self._gradients.clear()
        logger.warning("out of memory: passes of at most %d rows from now on", self._most_rows)

    def _training(self, runner: _Runner) -> Training:
        # a copy in any order: the next node takes the place
        values = self._values[runner.place]
        after = np.empty_like(values)
        after[... if self._in_order else self._order] = values
        phase, bench = runner.phase, runner.bench
        steps = range(phase.first_step, runner.step)
        state = AdapterState(self._adapted.spec, after)
        part = PhaseOf(bench.mechanism, self._adapted.resting_values(phase.number), phase.number)
        state = released(part, state, runner.began, self._adapted.experiment.training, steps)
        state = bench.learner.offset.end(phase.snapshot, runner.began, state, bench.learner.adapters)
        return Training(state, runner.done, bench.learner.units, bench.account.receipt(), runner.exhausted)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What the optimizer sees as one vector.

    Attributes:
        place: in the values of a node.
        number: of the parameter, where it may rest; None: it never does.
    """

    place: slice
    number: int | None


def _pieces(adapted: Adapted) -> dict[str, _Piece]:
    """All values in one, or where some rest now and then each parameter by itself, under its own name."""
    if not adapted.parts.resting:
        return {"vector": _Piece(slice(0, adapted.spec.size), None)}
    names = {id(parameter): name for name, parameter in adapted.trained.items()}
    parameters = trainable(adapted.module)
    ends = np.cumsum([parameter.numel() for parameter in parameters]).tolist()
    return {
        names[id(parameter)]: _Piece(slice(end - parameter.numel(), end), number)
        for number, (parameter, end) in enumerate(zip(parameters, ends, strict=True))
    }


def _group(turn: _Turn, values: Tensor) -> Group:
    return Group(values, turn.rows, turn.batch.clip, resting=turn.runner.resting)


def _finish(turns: Sequence[_Turn], sums: Tensor, pieces: Mapping[str, _Piece], slots: Tensor) -> None:
    """Gradients to steps."""
    for turn, own in zip(turns, sums.unbind(), strict=True):
        runner = turn.runner
        gradient = runner.bench.mechanism.finish(runner.step, turn.batch, own)
        if runner.start is not None:
            gradient.add_(slots[runner.place] - runner.start, alpha=runner.bench.learner.proximal_mu)
        for name, piece in pieces.items():
            runner.vectors[name].grad = None if piece.number in runner.resting else gradient[piece.place]
    step_together([(turn.runner.optimizer, turn.runner.rate_index) for turn in turns])
    for turn in turns:
        turn.runner.done += 1


def nodes_at_once(adapted: Adapted) -> int:
    """How many nodes should share a pass: as many as fit the cache; on a device of its own all.

    More where a frozen base is larger than that: all of them share it, so it should be read for many.
    """
    parameters = list(adapted.module.parameters())
    frozen = sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)
    on_cpu = parameters[0].device.type == "cpu"
    return max(1, max(CACHED_VALUES, frozen) // adapted.spec.size) if on_cpu else sys.maxsize


def module_order(adapted: Adapted) -> NDArray[np.int64]:
    """(size,) place in the exchanged vector of each value, in the order of the module's trainable parameters."""
    places = {id(parameter): name for name, parameter in adapted.trained.items()}
    names = [places[id(parameter)] for parameter in adapted.module.parameters() if parameter.requires_grad]
    everything = np.arange(adapted.spec.size)
    return np.concatenate([everything[adapted.spec.slices[name]] for name in names])
