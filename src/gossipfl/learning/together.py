"""Local training of many nodes in one pass: each step, the batches of all go through the one base together.

    node 0   draw ─┐                              ┌─ noise, divide ─> optimizer of node 0
    node 1   draw ─┼─> one forward and backward ──┼─ noise, divide ─> optimizer of node 1
    …              ┘                              └─ …

What a node draws, is charged, and how it is noised and stepped is the same code that trains it alone; only the sums of
gradients come from one pass, and so differ from those of `Learner` by rounding.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossipfl.errors import BudgetSpentError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.bench import Bench, Resident
from gossipfl.learning.learner import Training, increment_of
from gossipfl.learning.optimizer import LocalOptimizer, share_optimizer, step_together
from gossipfl.privacy.grouped.gradients import GroupedGradients
from gossipfl.privacy.grouped.seam import Group
from gossipfl.privacy.mechanisms import Drawn, Units
from gossipfl.privacy.rows import Rows
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Phase:
    """What one node is to train, see `Learner.train`."""

    node: str
    snapshot: AdapterState
    first_step: int
    steps: int


@dataclass(slots=True)
class _Runner:
    """A node in the middle of a phase.

    Attributes:
        place: of the node's values.
        done: optimizer steps.
        exhausted: its budget ended the phase.
    """

    phase: Phase
    bench: Bench
    place: int
    vector: nn.Parameter
    optimizer: LocalOptimizer
    done: int = 0
    exhausted: bool = False

    @property
    def step(self) -> int:
        """The next one, of the whole run."""
        return self.phase.first_step + self.done

    @property
    def runs(self) -> bool:
        """It has a step left."""
        return self.done < self.phase.steps and not self.exhausted


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
        self._gradients = GroupedGradients(resident.adapted.module, resident.task.losses)
        self._order = module_order(resident.adapted)
        self._in_order = bool((np.diff(self._order) == 1).all())
        config = resident.adapted.experiment.training
        self._places = {name: place for place, name in enumerate(benches)}
        values = torch.empty(len(benches), len(self._order))
        self._values: NDArray[np.float32] = values.numpy()
        self._vectors = {name: nn.Parameter(values[place]) for name, place in self._places.items()}
        self._optimizers = share_optimizer(self._vectors, config)
        self._loaded: dict[str, tuple[Units, Rows]] = {}

    def train(self, phases: Sequence[Phase]) -> list[Training]:
        """Results of phases of different nodes, in their order.

        Raises:
            TrainingError: a node's values are no longer finite.
        """
        runners = [self._runner(phase) for phase in phases]
        while running := [runner for runner in runners if runner.runs]:
            self._step(running)
        return [self._training(runner) for runner in runners]

    def durable(self, node: str) -> dict[str, NDArray[np.float32]]:
        """Copies of a node's optimizer moments, as vectors."""
        return self._optimizers[node].durable()

    def restore(self, node: str, moments: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `durable` gave."""
        self._optimizers[node].restore(moments)

    def _runner(self, phase: Phase) -> _Runner:
        node, place = phase.node, self._places[phase.node]
        self._values[place] = self._ordered(phase.snapshot.vector)
        return _Runner(phase, self._benches[node], place, self._vectors[node], self._optimizers[node])

    def _ordered(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        # most vectors are in the module's order anyway, and an index costs more than a copy
        return vector if self._in_order else vector[self._order]

    def _step(self, runners: Sequence[_Runner]) -> None:
        drawn: list[tuple[_Runner, Drawn, Rows]] = []
        for runner in runners:
            try:
                batch = runner.bench.mechanism.draw(runner.step)
            except BudgetSpentError:
                runner.exhausted = True
            else:
                drawn.append((runner, batch, self._rows(runner, batch.units)))
        # as a pass has them: their gradients need no sorting back
        drawn.sort(key=lambda one: one[2].count)
        groups = [Group(runner.vector.detach(), rows, batch.clip) for runner, batch, rows in drawn]
        for (runner, batch, _), sums in zip(drawn, self._sums(groups), strict=True):
            runner.vector.grad = runner.bench.mechanism.finish(runner.step, batch, sums)
        step_together([(runner.optimizer, runner.step) for runner, _, _ in drawn])
        for runner, _, _ in drawn:
            runner.done += 1

    def _rows(self, runner: _Runner, units: Units) -> Rows:
        """The batch; one that a mechanism hands out again, all units say, is put together once."""
        node = runner.phase.node
        loaded = self._loaded.get(node)
        if loaded is None or loaded[0] is not units:
            loaded = self._loaded[node] = (units, runner.bench.data.train.together(units))
        return loaded[1]

    def _sums(self, groups: Sequence[Group]) -> list[Tensor]:
        """Of each group, pass by pass."""
        found: list[Tensor] = []
        while len(found) < len(groups):
            part = self._fitting(groups[len(found) :])
            try:
                found += self._gradients.sums(part).unbind()
            except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
                self._halve(error, part)
        return found

    def _fitting(self, groups: Sequence[Group]) -> Sequence[Group]:
        """As many of the first as fit into one pass; one at least."""
        ends = np.cumsum([group.rows.count for group in groups])
        return groups[: max(1, int(np.searchsorted(ends, self._most_rows, side="right")))]

    def _halve(self, error: Exception, part: Sequence[Group]) -> None:
        if not _is_memory(error) or len(part) == 1:
            raise error
        self._most_rows = sum(group.rows.count for group in part) // 2
        # what is kept for the next pass was made for a larger one
        self._gradients.clear()
        logger.warning("out of memory: passes of at most %d rows from now on", self._most_rows)

    def _training(self, runner: _Runner) -> Training:
        after = self._values[runner.place]
        if not self._in_order:
            after = np.empty_like(after)
            after[self._order] = self._values[runner.place]
        phase, bench = runner.phase, runner.bench
        steps = range(phase.first_step, runner.step)
        state = AdapterState(self._adapted.spec, after)
        increment = increment_of(state, phase.snapshot, self._adapted.experiment.training, steps)
        return Training(increment, runner.done, bench.learner.units, bench.account.receipt(), runner.exhausted)


def module_order(adapted: Adapted) -> NDArray[np.int64]:
    """(size,) place in the exchanged vector of each value, in the order of the module's trainable parameters."""
    places = {id(parameter): name for name, parameter in adapted.trained.items()}
    names = [places[id(parameter)] for parameter in adapted.module.parameters() if parameter.requires_grad]
    everything = np.arange(adapted.spec.size)
    return np.concatenate([everything[adapted.spec.slices[name]] for name in names])


def _is_memory(error: Exception) -> bool:
    # on a CPU torch raises a plain RuntimeError
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
