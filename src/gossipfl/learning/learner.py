"""Local training: some optimizer steps from a snapshot, and what they changed.

    snapshot ── write ──> module ── steps × (mechanism: gradient in .grad; optimizer: step) ── read ──> after
    state = after, as the mechanism releases it

The protocol adds what training has changed to whatever mixing has made of the snapshot meanwhile: neither waits for the
other.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gossipfl.config.training import TrainingConfig
from gossipfl.core.messages import Receipt
from gossipfl.errors import BudgetSpentError, DivergedError
from gossipfl.learning.adapters import Adapted
from gossipfl.learning.continual.offset import Offset
from gossipfl.learning.data import Examples
from gossipfl.learning.evaluation import Answering, Evaluation, evaluate, hit_rate, score
from gossipfl.learning.optimizer import LocalOptimizer, optimizer_part
from gossipfl.learning.pull import pull_to_here
from gossipfl.learning.tasks import Scores, Task
from gossipfl.learning.timed import Clock, Rehearse, timed_steps
from gossipfl.privacy.account import Account
from gossipfl.privacy.mechanisms import Mechanism
from gossipfl.state import AdapterState

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Training:
    """What one phase of training came to; `core.events.Trained` without the version.

    Attributes:
        state: where training has led, as the mechanism has released it; of several adapters their mean.
        steps: optimizer steps done; fewer than asked (at level update: none) when the budget ran out, when the time was
            over, or when the learner was stopped.
        units: expected units in a batch, never the number drawn.
        receipt: covers all steps of the account, these included.
        exhausted: the account has no ε left for another step, or phase.
    """

    state: AdapterState
    steps: int
    units: float
    receipt: Receipt
    exhausted: bool


@dataclass(frozen=True, slots=True)
class LearnerParts:
    """What a learner is made from.

    Attributes:
        adapted: the model; the learner moves its trained parameters.
        task: losses of a row.
        mechanism: gradients, and what a phase releases.
        account: what the mechanism charges.
        units: expected units in a batch.
        rehearse: see `timed_steps`.
        clock: seconds, from any origin.
        proximal_mu: of every phase that asks for none itself, see `Learner.train`.
        adapters: of the node, the newest of which is trained, see `continual.offset`.
    """

    adapted: Adapted
    task: Task
    mechanism: Mechanism
    account: Account
    units: float
    rehearse: Rehearse | None = None
    clock: Clock = time.monotonic
    proximal_mu: float = 0.0
    adapters: int = 1


@dataclass(frozen=True, slots=True)
class PhaseOf:
    """A phase of a node.

    Attributes:
        resting: (size,) whether a value is not trained in it; None: all are.
        number: of the phase in the whole run.
    """

    mechanism: Mechanism
    resting: NDArray[np.bool_] | None
    number: int


def released(
    phase: PhaseOf, after: AdapterState, snapshot: AdapterState, config: TrainingConfig, steps: range
) -> AdapterState:
    """Where these steps may bring the node; what rests stays where it is, without noise.

    Args:
        phase: they were trained by and in.
        after, snapshot: the state after and before them.

    Raises:
        DivergedError: a value is not finite any more.
    """
    # squares never cancel: the norm, which whoever publishes the state asks for too, is finite when every value is
    if not math.isfinite(abs(after)):
        raise DivergedError(
            f"training diverged between steps {steps.start} and {steps.stop}: values are no longer finite; "
            f"training.learning_rate {config.learning_rate:g} is too high"
        )
    vector = phase.mechanism.release(steps.start, snapshot.vector, after.vector, phase=phase.number)
    if vector is after.vector:
        return after
    if phase.resting is not None:
        vector[phase.resting] = snapshot.vector[phase.resting]
    return AdapterState(snapshot.spec, vector)


def judged(adapted: Answering, module: nn.Module, task: Task, examples: Examples, *, micro_batch: int) -> Evaluation:
    """Loss and metrics of a model as it is now, those of its answers too."""
    found = evaluate(module, task, examples, micro_batch=micro_batch)
    if not adapted.experiment.task.metrics:
        return found
    # sacreBLEU and generation are for those who wish them
    from gossipfl.learning.answers import with_answers  # noqa: PLC0415

    return with_answers(found, adapted, examples, micro_batch=micro_batch)


class Learner:
    """One node's training and evaluation; every call may come from any thread, they take turns.

    So do the learners that share one module: each writes its own state before it uses it.
    """

    def __init__(self, parts: LearnerParts) -> None:
        self._parts = parts
        self._config = parts.adapted.experiment.training
        self._optimizer = LocalOptimizer(parts.adapted.trained, self._config)
        self._stopping = threading.Event()
        self.offset = Offset()

    @property
    def units(self) -> float:
        """Expected units in a batch."""
        return self._parts.units

    @property
    def task(self) -> Task:
        """What is learned."""
        return self._parts.task

    @property
    def proximal_mu(self) -> float:
        """See `LearnerParts`."""
        return self._parts.proximal_mu

    @property
    def adapters(self) -> int:
        """See `LearnerParts`."""
        return self._parts.adapters

    def go_on_with(self, parts: LearnerParts) -> None:
        """Trains on other data from now on, at the same model; moments stay. Between two phases."""
        with self._parts.adapted.turn:
            self._parts = parts

    def train(
        self,
        snapshot: AdapterState,
        *,
        first_step: int,
        steps: int,
        phase: int = 0,
        proximal_mu: float = 0.0,
        seconds: float | None = None,
    ) -> Training:
        """Trains from a snapshot, which is not changed.

        Args:
            first_step: index of the first step in the whole run; decides rate, seeded batches and seeded noise.
            steps: optimizer steps wished.
            phase: number of this phase in the whole run; decides which factor is trained where they take turns.
            proximal_mu: μ of FedProx, which adds μ/2 · ‖x − snapshot‖² to the loss; its gradient depends on no data. 0:
                that of the parts.

            seconds: after which the phase is over, whatever is wished; see `timed_steps`.

        Raises:
            DivergedError: the values are no longer finite.
            LedgerError: a step, or the phase, could not be charged.
        """
        with self._parts.adapted.turn:
            self._use_threads()
            began = self.offset.begin(snapshot, self.adapters)
            self._parts.adapted.write(began)
            if self._config.optimizer_state == "reset":
                self._optimizer.reset()
            gradient = partial(self._parts.mechanism.gradient, resting=self._parts.adapted.resting_places(phase))
            wished = range(first_step, first_step + steps)
            timed = timed_steps(wished, seconds, self._parts.rehearse, clock=self._parts.clock)
            rate = partial(self._config.rate_index, phase=phase, first=first_step)
            pull = pull_to_here(self._parts.adapted, proximal_mu or self._parts.proximal_mu)
            done, exhausted = self._run(gradient, timed, rate, pull)
            after = self._parts.adapted.read()
            # while it is this node's turn: what is released is charged and drawn in one go with its steps
            trained = range(first_step, first_step + done)
            part = PhaseOf(self._parts.mechanism, self._parts.adapted.resting_values(phase), phase)
            state = released(part, after, began, self._config, trained)
            state = self.offset.end(snapshot, began, state, self.adapters)
            return Training(state, done, self._parts.units, self._parts.account.receipt(), exhausted)

    def evaluate(self, state: AdapterState, examples: Examples, *, last: bool = False) -> Evaluation:
        """Loss and metrics of a state; waits for training under way.

        Args:
            last: of the run, which is worth a text for every row, see `task.metrics`.
        """
        return self._looked_at(partial(judged, self._parts.adapted) if last else evaluate, state, examples)

    def score(self, state: AdapterState, examples: Examples) -> list[Scores]:
        """What an evaluation of a state is made of; waits for training under way."""
        return self._looked_at(score, state, examples)

    def hits(self, state: AdapterState, examples: Examples) -> float:
        """Part of the rows of which a state says first what their labels say; waits for training under way."""
        return self._looked_at(hit_rate, state, examples)

    def _looked_at(self, look: Callable[..., Found], state: AdapterState, examples: Examples) -> Found:
        with self._parts.adapted.turn:
            self._use_threads()
            self._parts.adapted.write(state)
            module, task = self._parts.adapted.module, self._parts.task
            return look(module, task, examples, micro_batch=self._config.micro_batch)

    def stop(self) -> None:
        """Ends training under way after its current step, and any later one before its first."""
        self._stopping.set()

    def durable(self) -> dict[str, NDArray[np.float32]]:
        """Copies of moments, of `offset` and of what the mechanism follows: with state and step all to resume a run by.

        They lie in the coordinates of the trained parameters. At level example they hold what noised gradients left,
        nothing secret; else private data shines through: they stay at the node.
        """
        with self._parts.adapted.turn:
            return {**self._optimizer.durable(), **self._parts.mechanism.durable(), **self.offset.durable()}

    def restore(self, moments: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes over what `durable` gave.

        Raises:
            StateError: it belongs to another adapter.
        """
        with self._parts.adapted.turn:
            self._optimizer.restore(optimizer_part(moments))
            self._parts.mechanism.restore(moments)
            self.offset.restore(moments, self._parts.adapted.spec.size)

    def _run(
        self,
        gradient: Callable[[int], Receipt],
        steps: Iterable[int],
        rate: Callable[[int], int],
        pull: Callable[[], None],
    ) -> tuple[int, bool]:
        """How many steps were done, and whether the budget ended them."""
        done = 0
        for step in steps:
            if self._stopping.is_set():
                return done, False
            try:
                gradient(step)
            except BudgetSpentError:
                return done, True
            pull()
            self._optimizer.step(rate(step))
            done += 1
        return done, False

    def _use_threads(self) -> None:
        # a property of the calling thread, and training may come from any
        if self._config.threads and torch.get_num_threads() != self._config.threads:
            torch.set_num_threads(self._config.threads)
